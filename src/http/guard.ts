/**
 * @module
 * Decides whether a request carries a credential for exactly itself, and redeems it. One order for every framework: what costs
 * the sender nothing is refused before a body is read, and nobody without the key hears anything about a credential.
 */
import type { ActionClaims } from '../core/credential.ts'
import { createIssuerJwks, toFixedJwks, type IssuerJwks } from '../client/issuer-jwks.ts'
import { watch } from '../client/revocations.ts'
import { ConfigError, InputError, InvariantError, RefusedError } from '../core/errors.ts'
import { toContentDigest, toHttpAction } from '../core/http-action.ts'
import type { JsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'
import type { ActionBody } from '../core/request.ts'
import { verifyActionProof } from '../crypto/action-proof.ts'
import { createCredentialAuthority, openActionCredential } from '../crypto/credential.ts'
import type { ClientCertificate } from '../crypto/client-certificate.ts'
import type { HeaderReader } from '../crypto/http-signature.ts'
import { decodeJwt } from '../crypto/jwt.ts'
import { toHttpRefusal, type HttpRefusal } from './answers.ts'
import { createResourceNonces, type ResourceNonces } from './nonces.ts'
import type { BurnDomain, OpenDomain, Presented } from './redemption.ts'
import { readSignatureKey } from '../crypto/signature-key.ts'

export interface CredentialOptions {
  /** `iss` of the credentials: `issuer` of the server's configuration. */
  readonly issuer: string
  /** What this resource server is called: `url` of the audience in the server's configuration. */
  readonly audience: string
  /** `redeemAtIssuer({key})`, or `redeemHere({burns, replicas, revocations})`. */
  readonly redemption: OpenDomain
  /** Where the issuer is reached; `issuer` when absent. */
  readonly server?: string
  /** The issuer's public keys, where they must not be fetched. */
  readonly jwks?: JsonObject
  /** Scheme, host and port under which clients reach this resource server; those of `audience` when absent. */
  readonly origin?: string
  /** Further values of `Host` under which it is addressed, for example by a proxy in front of it. */
  readonly hosts?: readonly string[]
  /** The longest body that is read; 1 MiB when absent. */
  readonly bodyBytes?: number
  /** DPoP proofs need a nonce from here: `true` for one process, a secret of 32 bytes and more that replicas share for several. */
  readonly nonces?: true | { readonly secret: string }
  /**
   * Takes the certificate of a connection that ended its TLS in this process (`requestCert`) as the proof, where it is of the key
   * that the credential is bound to (RFC 8705). With `redeemHere` only: the issuer sees no connection but its own.
   */
  readonly clientCertificates?: true
  /** Takes credentials of actions that were only observed, and that nobody might have permitted. */
  readonly observed?: boolean
  /** True for what a person must have said yes to; without that the answer is `insufficient_user_authentication` (RFC 9470). */
  readonly needsApproval?: (claims: ActionClaims) => boolean
  /** How far the clock of the issuer may be ahead of this one; 5 when absent. */
  readonly skewSeconds?: number
  readonly fetch?: typeof globalThis.fetch
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Told of faults: one line for the operator's log. */
  readonly report?: (fault: unknown) => void
}

/** A request as received: nothing decoded, nothing normalised. */
export interface IncomingAction {
  readonly method: string
  /** The request target in origin form, exactly as it stood on the request line. */
  readonly target: string
  readonly host: string | undefined
  /** The lines of a header, none joined where the platform lets them be seen. */
  readonly header: HeaderReader
  /** What the client proved in the handshake of TLS, where that ended in this process. */
  readonly certificate?: Pick<ClientCertificate, 'jkt'>
  /** Reads the body once, at most `limit` bytes, and leaves it to be read again. Throws `InputError`. */
  readonly readBody: (limit: number) => Promise<Uint8Array>
}

/** What was redeemed for a request. */
export interface Redeemed {
  readonly claims: ActionClaims
  /** What proved the request, beside the digest over its bytes. */
  readonly grade: 'signature' | 'dpop' | 'mtls'
  /** Aborted when something of the credential is revoked before the answer is sent: stop, and undo what you can. */
  readonly signal: AbortSignal
}

export type Accepted =
  | {
      readonly ok: true
      readonly redeemed: Redeemed
      /** To be sent with the answer. */
      readonly headers: Readonly<Record<string, string>>
      /** Call it when the answer is sent: then nobody watches over it any more. */
      readonly land: () => void
    }
  | { readonly ok: false; readonly refusal: HttpRefusal }

export interface Guard {
  /** Never rejects: every fault is a refusal. `ok` is true once for each credential. */
  readonly accept: (incoming: IncomingAction) => Promise<Accepted>
  readonly report: (fault: unknown) => void
  readonly close: () => void
}

interface Inside {
  readonly options: CredentialOptions
  readonly origin: string
  readonly hosts: ReadonlySet<string>
  readonly keys: IssuerJwks
  readonly domain: BurnDomain
  readonly nonces?: ResourceNonces
  readonly now: () => number
  readonly skewSeconds: number
}

/** A key that the issuer has taken away is believed this long. Nothing that it issues lives longer than a minute. */
const JWKS_AGE_MS = 300_000
const BODY_BYTES = 1_048_576
const SKEW_SECONDS = 5

/** Throws `ConfigError` for what cannot be a guard: URLs that are none, an issuer over plain HTTP elsewhere, a weak secret. */
export function createGuard(options: CredentialOptions): Guard {
  const { issuer, now = Date.now, skewSeconds = SKEW_SECONDS } = options
  const origin = toOrigin(options.origin ?? options.audience)
  const server = toServer(options.server ?? issuer)
  const fetch = options.fetch ?? globalThis.fetch
  const keys =
    options.jwks === undefined
      ? createIssuerJwks({ url: server, fetch, maxAgeMs: JWKS_AGE_MS })
      : toFixedJwks(options.jwks)
  const nonces = toNonces(options, now)
  const inside: Inside = {
    options,
    origin,
    hosts: new Set([new URL(origin).host, ...(options.hosts ?? [])].map((host) => host.toLowerCase())),
    keys,
    domain: options.redemption({ issuer, server, origin, keys, fetch, now, skewSeconds }),
    ...(nonces === undefined ? {} : { nonces }),
    now,
    skewSeconds,
  }
  return {
    accept: async (incoming) => acceptOrRefuse(inside, incoming),
    report: (fault) => options.report?.(fault),
    close: () => inside.domain.close(),
  }
}

function toOrigin(url: string): string {
  const parsed = URL.parse(url)
  if (parsed === null || !/^https?:$/.test(parsed.protocol))
    throw new ConfigError(
      'say in `origin` where clients reach this resource server; `audience` is no http or https URL',
    )
  return parsed.origin
}

const LOOPBACK: readonly string[] = ['127.0.0.1', 'localhost', '[::1]']

/** Whoever can answer for the issuer is the issuer. */
function toServer(url: string): URL {
  const parsed = URL.parse(url)
  const isPrivate =
    parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && LOOPBACK.includes(parsed.hostname))
  if (parsed === null || !isPrivate)
    throw new ConfigError(
      '`server` must be an https URL, or http on this machine: the keys of the issuer come from there',
    )
  return parsed
}

function toNonces({ nonces }: CredentialOptions, now: () => number): ResourceNonces | undefined {
  if (nonces === undefined) return undefined
  if (nonces === true) return createResourceNonces(now)
  const secret = Buffer.from(nonces.secret)
  if (secret.length < 32) throw new ConfigError('the secret of `nonces` needs 32 bytes and more')
  return createResourceNonces(now, secret)
}

async function acceptOrRefuse(inside: Inside, incoming: IncomingAction): Promise<Accepted> {
  const compact = readCredential(incoming)
  const nonce = inside.nonces?.mint()
  const told = nonce === undefined ? {} : { nonce }
  if (compact === undefined) return refuse('identity.missing', { isBare: true, ...told })
  try {
    const { claims, grade } = await accept(inside, incoming, compact)
    const watched = watch(inside.domain.feed, claims)
    const redeemed = { claims, grade, signal: watched.signal }
    return { ok: true, redeemed, headers: toNonceHeader(nonce), land: () => watched.land() }
  } catch (fault) {
    if (fault instanceof RefusedError || fault instanceof InputError) return refuse(fault.reason, told)
    inside.options.report?.(fault)
    return refuse('system.indeterminate')
  }
}

function toNonceHeader(nonce: string | undefined): Readonly<Record<string, string>> {
  return nonce === undefined ? {} : { 'dpop-nonce': nonce }
}

function refuse(reason: Reason, told: Parameters<typeof toHttpRefusal>[1] = {}): Accepted {
  return { ok: false, refusal: toHttpRefusal(reason, told) }
}

/** One `Authorization: DPoP CREDENTIAL`; anything else is not a credential of ours. */
function readCredential({ header }: IncomingAction): string | undefined {
  const [line, ...others] = [header('authorization') ?? []].flat()
  return others.length > 0 ? undefined : /^DPoP ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(line ?? '')?.[1]
}

/** The order of one redemption. Throws `RefusedError` and `InputError` for what is refused, everything else for faults. */
async function accept(inside: Inside, incoming: IncomingAction, compact: string): Promise<Omit<Redeemed, 'signal'>> {
  assertPlain(inside, incoming)
  const claims = await open(inside, compact)
  const grade = prove(inside, incoming, compact, claims)
  assertWanted(inside.options, claims)
  const action = await readAction(incoming, grade, inside.options.bodyBytes ?? BODY_BYTES)
  await redeem(inside, { compact, claims, action, headers: incoming.header })
  return { claims, grade }
}

/**
 * Headers that would change what the same method, target and body mean, and that nothing covers. A framework or a proxy that
 * reads one of them does another action than was decided.
 */
const TELLING = [
  'content-encoding',
  'content-range',
  'trailer',
  'upgrade',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
] as const

const ONCE = [
  'content-type',
  'content-digest',
  'dpop',
  'host',
  'signature',
  'signature-input',
  'signature-key',
] as const

function assertPlain({ hosts }: Inside, { host, header }: IncomingAction): void {
  if (host === undefined || !hosts.has(host.toLowerCase()))
    throw new InputError('this resource server does not answer under that host name')
  for (const name of TELLING)
    if (header(name) !== undefined) throw new InputError(`\`${name}\` would change the action and is not covered`)
  for (const name of ONCE)
    if ([header(name) ?? []].flat().length > 1) throw new InputError(`\`${name}\` stands there twice`)
}

/** The claims of a credential of this issuer. Not yet that it is for here, in time, or whose it is. */
async function open({ keys, options }: Inside, compact: string): Promise<ActionClaims> {
  // Without a name of a key nothing is asked of the issuer.
  if (typeof decodeJwt(compact)?.header['kid'] !== 'string')
    throw new RefusedError('credential.invalid', 'not a credential')
  await keys.prepare(compact)
  const claims = openActionCredential(keys, options.issuer, compact)
  if (claims === undefined) throw new RefusedError('credential.invalid', 'not a credential of this issuer')
  return claims
}

/** Before anything is told of the credential: whoever stole it has no key, and learns nothing. */
function prove(inside: Inside, incoming: IncomingAction, compact: string, claims: ActionClaims): Redeemed['grade'] {
  const { header, method, target } = incoming
  const { nonces, origin } = inside
  if (isByConnection(inside, incoming, claims)) return 'mtls'
  const [digest] = [header('content-digest') ?? []].flat()
  const verified = verifyActionProof({
    method,
    target,
    origin,
    headers: header,
    // The header stands for the body until there is one; `readAction` compares them.
    body: digest === undefined ? new Uint8Array() : { contentDigest: digest },
    credential: compact,
    jkt: claims.cnf.jkt,
    resolveKey: (jkt) => readSignatureKey(header('signature-key'), jkt),
    ...(nonces === undefined ? {} : { acceptNonce: (nonce: string | undefined) => nonces.accept(nonce) }),
    now: inside.now(),
  })
  if (verified.ok) return verified.grade
  throw new RefusedError(verified.reason, 'the proof is not one for this request')
}

/** The handshake proved the key, and everything on the connection is of its holder. Any other proof beside it has to hold. */
function isByConnection({ options }: Inside, { header, certificate }: IncomingAction, { cnf }: ActionClaims): boolean {
  if (options.clientCertificates !== true || certificate?.jkt !== cnf.jkt) return false
  return ['dpop', 'signature', 'signature-input'].every((name) => header(name) === undefined)
}

function assertWanted({ observed, needsApproval }: CredentialOptions, claims: ActionClaims): void {
  if (claims.mode === 'observe' && observed !== true)
    throw new RefusedError('policy.denied', 'the action was observed only')
  if (needsApproval?.(claims) === true && claims.tctx.approval_id === undefined)
    throw new RefusedError('policy.approval-required', 'nobody said yes to the action')
}

/** The action of the bytes that came, which are those that the handler will read. */
async function readAction(incoming: IncomingAction, grade: Redeemed['grade'], limit: number): Promise<ActionBody> {
  const { method, target, header, readBody } = incoming
  const [contentType] = [header('content-type') ?? []].flat()
  const [claimed] = [header('content-digest') ?? []].flat()
  const body = await readBody(limit)
  const isCovered =
    claimed === undefined ? grade !== 'signature' || body.length === 0 : claimed === toContentDigest(body)
  if (!isCovered) throw new RefusedError('identity.bad-proof', 'the digest is not that of the body')
  return toHttpAction({ method, target, body, ...(contentType === undefined ? {} : { contentType }) })
}

async function redeem(inside: Inside, presented: Presented): Promise<void> {
  const { options, keys, domain, now, skewSeconds } = inside
  const { compact, claims, action } = presented
  const authority = createCredentialAuthority({
    issuer: options.issuer,
    key: { find: (kid) => keys.find(kid), current: signsNothing },
    feed: domain.feed,
    clock: { now },
    skewSeconds,
    burn: async (_jti, expiresMs) => domain.burn(presented, expiresMs),
    onFault: (fault) => options.report?.(fault),
  })
  const credential = { form: 'jwt', compact } as const
  const redemption = await authority.redeem({ credential, aud: options.audience, body: action, jkt: claims.cnf.jkt })
  if (!redemption.ok) throw new RefusedError(redemption.reason, 'the credential is not redeemed')
}

function signsNothing(): never {
  throw new InvariantError('a resource server signs nothing as the issuer')
}
