/**
 * @module
 * The two structured fields (RFC 9651) of a signature, only in the one serialisation that our profile writes. Whatever else
 * structured fields allow (white space, other labels, parameters on components, more members) is refused, not normalised.
 */
import { decodeBase64 } from './base64.ts'

export interface SignatureInput {
  /** Component identifiers in order, without quotes. */
  readonly components: readonly string[]
  /** Seconds since the epoch. */
  readonly created: number
  readonly expires: number
  readonly nonce: string
  readonly keyid: string
  /** The member value as it was sent: what `@signature-params` signs. */
  readonly params: string
}

const INPUT = /^sig=(\(("[a-z0-9@-]+"(?: "[a-z0-9@-]+")*)\)((?:;[a-z]+=(?:"[A-Za-z0-9._~-]*"|[0-9]+))+))$/
const SIGNATURE = /^sig=:([A-Za-z0-9+/=]+):$/
const INTEGER = /^(?:0|[1-9][0-9]{0,14})$/
const NONCE = /^"([A-Za-z0-9._~-]{16,256})"$/
const KEYID = /^"([A-Za-z0-9_-]{43})"$/
const NAMES: ReadonlySet<string> = new Set(['created', 'expires', 'nonce', 'keyid', 'tag'])
const MAX_LENGTH = 1024

/**
 * Parses a `Signature-Input` with the one label `sig` and exactly the parameters of the profile, in any order. Undefined for
 * every other text, one with `alg` included. Does not know which components exist and does not compare times.
 */
export function parseSignatureInput(text: string): SignatureInput | undefined {
  const [, params, list, tail] = text.length > MAX_LENGTH ? [] : (INPUT.exec(text) ?? [])
  if (params === undefined || list === undefined || tail === undefined) return undefined
  const found = toParameters(tail)
  const nonce = NONCE.exec(found.get('nonce') ?? '')?.[1]
  const keyid = KEYID.exec(found.get('keyid') ?? '')?.[1]
  const created = toInteger(found.get('created'))
  const expires = toInteger(found.get('expires'))
  if (nonce === undefined || keyid === undefined || created === undefined || expires === undefined) return undefined
  if (found.get('tag') !== '"unbearer"') return undefined
  return { components: list.slice(1, -1).split('" "'), created, expires, nonce, keyid, params }
}

/** Empty when a parameter is unknown or repeated, so that those that are required will be missing. */
function toParameters(tail: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const part of tail.slice(1).split(';')) {
    const [name = '', value = ''] = part.split('=')
    if (!NAMES.has(name) || found.has(name)) return new Map()
    found.set(name, value)
  }
  return found
}

function toInteger(text: string | undefined): number | undefined {
  return text !== undefined && INTEGER.test(text) ? Number(text) : undefined
}

/** The bytes of a `Signature` field with the one label `sig`, in canonical base64; undefined for every other text. */
export function parseSignature(text: string): Uint8Array | undefined {
  const found = text.length > MAX_LENGTH ? undefined : SIGNATURE.exec(text)?.[1]
  return found === undefined ? undefined : decodeBase64(found)
}
