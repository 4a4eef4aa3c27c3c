/**
 * @module
 * HTTP message signatures (RFC 9421) with Content-Digest (RFC 9530), one profile and nothing beside it: label `sig`,
 * parameters `created expires nonce keyid tag="unbearer"`, `keyid` the RFC 7638 thumbprint. Covered are `@method` and
 * `@request-target`, always; `authorization` and `mcp-session-id` where present; `content-type` and `content-digest`
 * wherever there is a body.
 */
import { InputError } from '../core/errors.ts'
import { toContentDigest, type DigestedBody } from '../core/http-action.ts'
import type { Reason } from '../core/reasons.ts'
import { decodeBase64, randomId } from './base64.ts'
import { signBytes, verifyBytes, type KeyPair } from './keys.ts'
import { parseSignature, parseSignatureInput, type SignatureInput } from './signature-input.ts'

/** How long a proof that we make may be used. */
export const PROOF_SECONDS = 60

/** No proof is accepted that gives itself longer. */
const MAX_PROOF_SECONDS = 300

const COMPONENTS: ReadonlySet<string> = new Set([
  '@method',
  '@request-target',
  'authorization',
  'content-type',
  'content-digest',
  'mcp-session-id',
])

/**
 * Reads a request header by its lower-case name. An array holds one item per field line and lets repetition be seen; a
 * string is one line, or lines that the platform has joined already. Node's `headersDistinct` gives the former.
 */
export type HeaderReader = (name: string) => string | readonly string[] | undefined

/** What is signed of a request besides its headers. `target` is the path with the query, as in the request line. */
interface Message {
  readonly method: string
  readonly target: string
  readonly body?: Uint8Array | DigestedBody
}

export interface SignRequest extends Message {
  readonly key: KeyPair
  readonly body?: Uint8Array
  /** Headers that will be sent; names in any case. */
  readonly headers: Readonly<Record<string, string>> | { get(name: string): string | null }
  /** 16 to 256 of `A-Z a-z 0-9 . _ ~ -`; 128 random bits when absent. */
  readonly nonce?: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface VerifyRequest extends Message {
  readonly headers: HeaderReader
  /** As received, here or by a PEP whose word is taken for its digest. */
  readonly body: Uint8Array | DigestedBody
  /** The key with this thumbprint, if it is known. Whether it may do anything is not asked here. */
  readonly resolveKey: (keyid: string) => KeyPair | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Age after which a proof is stale; 60 by default. */
  readonly maxAgeSeconds?: number
  /** How far `created` may lie in the future; 5 by default. */
  readonly skewSeconds?: number
}

export type VerifiedRequest =
  | {
      readonly ok: true
      readonly jkt: string
      readonly nonce: string
      /** Seconds since the epoch. */
      readonly created: number
      /** Seconds since the epoch. The proof is refused from then on, so that is how long its nonce must stay burned. */
      readonly expires: number
      /** Whether the whole body is covered; in this profile always, or there is no body. */
      readonly bodyBound: true
    }
  | { readonly ok: false; readonly reason: Reason }

/**
 * The headers that prove a request: `signature-input`, `signature`, and `content-digest` where there is a body.
 * Throws `InputError` for a message that this profile cannot cover without doubt: a body without a `content-type`, a control
 * character in a header, a target that is not a path. Does not send anything and does not sign headers added later.
 */
export function signRequest(request: SignRequest): Record<string, string> {
  const added: Record<string, string> = {}
  if (hasBody(request)) added['content-digest'] = toContentDigest(request.body ?? new Uint8Array())
  const read: HeaderReader = (name) => added[name] ?? readFrom(request.headers, name)
  const created = Math.floor(request.now / 1000)
  const nonce = request.nonce ?? randomId()
  const covered = requiredComponents(request, read)
  const params =
    `(${covered.map((name) => `"${name}"`).join(' ')});created=${created};expires=${created + PROOF_SECONDS}` +
    `;nonce="${nonce}";keyid="${request.key.jkt}";tag="unbearer"`
  const base = toBase(request, read, covered, params)
  if (base === undefined || parseSignatureInput(`sig=${params}`) === undefined)
    throw new InputError('the request cannot be signed')
  const signature = signBytes(request.key, Buffer.from(base, 'latin1')).toString('base64')
  return { ...added, 'signature-input': `sig=${params}`, signature: `sig=:${signature}:` }
}

/**
 * Verifies that the holder of a known key signed this very request, body included, just now. Synchronous; never throws: a
 * fault is `identity.bad-proof`.
 *
 * Does not look for replay: burn `nonce` until `expires` before acting. Does not say whether the key is enrolled for
 * anything, was revoked, or may do what the request asks, and does not cover headers outside the profile: read nothing that
 * decides from them.
 */
export function verifyRequest(request: VerifyRequest): VerifiedRequest {
  try {
    return verifySigned(request)
  } catch {
    return refuse('identity.bad-proof')
  }
}

function verifySigned(request: VerifyRequest): VerifiedRequest {
  const input = readOne(request.headers, 'signature-input')
  const signature = readOne(request.headers, 'signature')
  if (input === undefined && signature === undefined) return refuse('identity.missing')
  const parsed = input === undefined ? undefined : parseSignatureInput(input)
  const bytes = signature === undefined ? undefined : parseSignature(signature)
  if (parsed === undefined || bytes === undefined || !isCovering(parsed, request)) return refuse('identity.bad-proof')
  if (!isTimely(parsed, request)) return refuse('identity.stale-proof')
  const key = request.resolveKey(parsed.keyid)
  if (key === undefined || key.jkt !== parsed.keyid) return refuse('identity.unknown-key')
  const base = toBase(request, request.headers, parsed.components, parsed.params)
  const valid = base !== undefined && verifyBytes(key, Buffer.from(base, 'latin1'), bytes)
  if (!valid || !isDigestRight(request)) return refuse('identity.bad-proof')
  const { nonce, created, expires } = parsed
  return { ok: true, jkt: key.jkt, nonce, created, expires, bodyBound: true }
}

function refuse(reason: Reason): VerifiedRequest {
  return { ok: false, reason }
}

/** Whether what is covered is known to the profile, without repetition, and at least what this request requires. */
function isCovering(input: SignatureInput, request: VerifyRequest): boolean {
  const covered = new Set(input.components)
  if (covered.size !== input.components.length || !input.components.every((name) => COMPONENTS.has(name))) return false
  if (input.expires <= input.created || input.expires - input.created > MAX_PROOF_SECONDS) return false
  // A content coding changes what the bytes mean, and it is not covered.
  if (isPresent(request.headers('content-encoding'))) return false
  return requiredComponents(request, request.headers).every((name) => covered.has(name))
}

function isTimely(input: SignatureInput, request: VerifyRequest): boolean {
  const now = request.now / 1000
  const { created, expires } = input
  return created <= now + (request.skewSeconds ?? 5) && now - created < (request.maxAgeSeconds ?? 60) && now < expires
}

/** The digest is over the bytes received. Where the header stands without a body it must be right as well. */
function isDigestRight(request: VerifyRequest): boolean {
  const claimed = readOne(request.headers, 'content-digest')
  const { body } = request
  if (claimed === undefined) return !hasBody(request)
  return claimed === ('contentDigest' in body ? body.contentDigest : toContentDigest(body))
}

function requiredComponents(message: Message, headers: HeaderReader): readonly string[] {
  return [
    '@method',
    '@request-target',
    ...(isPresent(headers('authorization')) ? ['authorization'] : []),
    ...(hasBody(message) ? ['content-type', 'content-digest'] : []),
    ...(isPresent(headers('mcp-session-id')) ? ['mcp-session-id'] : []),
  ]
}

function isPresent(value: string | readonly string[] | undefined): boolean {
  return typeof value === 'string' || (value !== undefined && value.length > 0)
}

function hasBody({ body }: Message): boolean {
  return body !== undefined && ('contentDigest' in body || body.length > 0)
}

/**
 * The signature base of RFC 9421 §2.5, from component identifiers in their serialised form without quotes (`@method`,
 * `content-type`) and their values, and the serialised signature parameters. Does not escape anything: values come in clean.
 */
export function signatureBase(components: readonly (readonly [name: string, value: string])[], params: string): string {
  const lines = components.map(([name, value]) => `"${name}": ${value}\n`)
  return `${lines.join('')}"@signature-params": ${params}`
}

/** Verifies a base64 signature over a signature base, for vectors of others. Decides nothing about what is covered. */
export function verifySignatureBase(key: KeyPair, base: string, signature: string): boolean {
  const bytes = decodeBase64(signature)
  return bytes !== undefined && verifyBytes(key, Buffer.from(base, 'latin1'), bytes)
}

/** Undefined when a component is missing, repeated or could be read in two ways. */
function toBase(message: Message, headers: HeaderReader, names: readonly string[], params: string): string | undefined {
  const components: (readonly [string, string])[] = []
  for (const name of names) {
    const value = toComponent(message, headers, name)
    if (value === undefined) return undefined
    components.push([name, value])
  }
  return signatureBase(components, params)
}

const METHOD = /^[A-Z]+$/
const TARGET = /^\/[\x21-\x7e]*$/
// Visible ASCII with single inner spaces or tabs anywhere: a line break would let a value forge a line of the base.
const VALUE = /^[\x20-\x7e\t]*$/

function toComponent(message: Message, headers: HeaderReader, name: string): string | undefined {
  if (name === '@method') return METHOD.test(message.method) ? message.method : undefined
  if (name === '@request-target') return TARGET.test(message.target) ? message.target : undefined
  const value = readOne(headers, name)?.replace(/^[ \t]+|[ \t]+$/g, '')
  return value !== undefined && VALUE.test(value) ? value : undefined
}

/** Throws for a repeated header, which the callers turn into a refusal. */
function readOne(headers: HeaderReader, name: string): string | undefined {
  const value = headers(name)
  if (value === undefined || typeof value === 'string') return value
  if (value.length > 1) throw new InputError(`header \`${name}\` is repeated`)
  return value[0]
}

function readFrom(headers: SignRequest['headers'], name: string): string | undefined {
  if (isReader(headers)) return headers.get(name) ?? undefined
  return Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
}

function isReader(headers: SignRequest['headers']): headers is { get(name: string): string | null } {
  return typeof headers['get'] === 'function'
}
