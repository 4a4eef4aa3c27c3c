/**
 * @module
 * The action of the HTTP plane (contracts, "Encoding"): `{method, target, contentType, contentDigest}`, made alike by whoever
 * asks for a credential, by the issuer, and by the resource server from the bytes that it received.
 */
import { hash } from 'node:crypto'

import { InputError } from './errors.ts'
import type { ActionBody } from './request.ts'

export interface HttpMessage {
  readonly method: string
  /** Path and query exactly as on the request line. */
  readonly target: string
  /** The header as received; absent without a body. */
  readonly contentType?: string
  /** The bytes as received; empty counts as no body. */
  readonly body: Uint8Array
}

/** A body that is not here: its `Content-Digest`, as whoever received the bytes computed it. */
export interface DigestedBody {
  readonly contentDigest: string
}

const METHOD = /^[A-Z]{1,20}$/
const CONTENT_TYPE = /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/
const DIGEST = /^sha-256=:[A-Za-z0-9+/]{43}=:$/
const MAX_TARGET = 8192
/** Unreserved characters (RFC 3986 §2.3), `/ \\ ? # % ;` and NUL. */
const ENCODED = /%(?:2[def]|3[0-9fb]|4[1-9a-f]|5[0-9acf]|6[1-9a-f]|7[0-9ae]|23|25|00)/i

/**
 * The action of an HTTP request: with a body its content type and its RFC 9530 digest, without one neither. Throws
 * `InputError` for what two parties could read differently: a target that is not in normal form (RFC 3986 §6.2: dot
 * segments, an absolute form, a fragment, an encoded slash), a body without a content type, a content type without a body, a
 * digest of another form. Does not look at any other header: they are not part of the action.
 */
export function toHttpAction({
  method,
  target,
  contentType,
  body,
}: Omit<HttpMessage, 'body'> & { readonly body: Uint8Array | DigestedBody }): ActionBody {
  if (!METHOD.test(method)) throw new InputError('the method of an action is a word in capitals')
  if (!isNormalTarget(target)) throw new InputError('the target of an action is a path in normal form')
  if (!('contentDigest' in body) && body.length === 0) {
    if (contentType !== undefined) throw new InputError('a content type without a body')
    return { method, target }
  }
  if (contentType === undefined || !CONTENT_TYPE.test(contentType))
    throw new InputError('a body needs a content type in plain characters')
  const contentDigest = 'contentDigest' in body ? body.contentDigest : toContentDigest(body)
  if (!DIGEST.test(contentDigest)) throw new InputError('the digest of a body is one `sha-256=:…:`')
  return { method, target, contentType, contentDigest }
}

/** `Content-Digest` of RFC 9530, with its one algorithm here. */
export function toContentDigest(body: Uint8Array): string {
  return `sha-256=:${hash('sha256', body, 'base64')}:`
}

/**
 * True for a path with an optional query that every reader takes apart alike: it is its own normal form, has no empty
 * segment, no fragment, no backslash, and in its path nothing encoded that needs no encoding, or that would separate.
 */
export function isNormalTarget(target: string): boolean {
  if (target.length > MAX_TARGET || !/^\/[\x21-\x7e]*$/.test(target)) return false
  const [path = ''] = target.split('?')
  if (ENCODED.test(path) || /\/\/|[;\\#]/.test(path) || target.includes('#')) return false
  const url = URL.parse(target, 'http://a.invalid')
  return url !== null && url.origin === 'http://a.invalid' && `${url.pathname}${url.search}` === target
}

/** What of a decided action is hashed into its credential: all but the reading of it that was decided over. */
export function toBoundAction(plane: string, body: ActionBody): ActionBody {
  if (plane !== 'http') return body
  const { arguments: _reading, ...bound } = body
  return bound
}
