/**
 * @module
 * Grants that no operator issues, from the side of whoever has the principal: a host that logged them in, or their own key.
 */
import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { callControl } from './control.ts'
import type { Fetch } from './send.ts'

export { toGrantNonce } from '../core/grant-nonce.ts'
export { signGrant, type SignGrant } from '../crypto/signed-grant.ts'

export interface GrantOpening {
  readonly url: string | URL
  /** A key of role `host`. */
  readonly key: ClientKey
  /** `{actor, operations?, budgets?, expires?, notBefore?, depth?}`: within the ceiling of the issuer, and all of it by default. */
  readonly grant: JsonObject
  /** What the issuer of the principal gave for our audience. It is used up by this. */
  readonly subjectToken: string
  /** `id-token`, `access-token`, `id-jag`, or the URI of RFC 8693 §3. */
  readonly subjectTokenType: string
  /** The salt of `toGrantNonce`, where the nonce is bound. */
  readonly salt?: string
  readonly fetch?: Fetch
}

/** A grant that was issued: its id, and the principal to open tasks for. */
export interface OpenedGrant {
  readonly id: string
  readonly principal: { readonly type: string; readonly id: string }
}

/**
 * Opens a grant for the principal whom an issuer outside vouches for. Throws as `callControl` does: `identity.replayed` for a
 * proof that was used, `identity.weak-login` where the principal has to log in again, `scope.operation` above the ceiling.
 * Does not keep the proof, and does not ask the principal anything.
 */
export async function openGrant(opening: GrantOpening): Promise<OpenedGrant> {
  const { url, key, grant, subjectToken, subjectTokenType, salt, fetch } = opening
  const params = {
    grant,
    subject_token: subjectToken,
    subject_token_type: subjectTokenType,
    ...(salt === undefined ? {} : { salt }),
  }
  return toOpened(
    await callControl({ url, key, method: 'grant.open', params, ...(fetch === undefined ? {} : { fetch }) }),
  )
}

export interface GrantHandingIn {
  readonly url: string | URL
  /** A key of role `principal`, `host` or `operator`: whoever hands it in adds nothing to it. */
  readonly key: ClientKey
  /** What `signGrant` made. */
  readonly signed: string
  readonly fetch?: Fetch
}

/** Hands in a grant that its principal signed. Throws as `callControl` does. Does not say that it may hold what it says. */
export async function handInGrant({ url, key, signed, fetch }: GrantHandingIn): Promise<OpenedGrant> {
  const opened = await openClientKey(key)
  const call = { url, key: opened, method: 'grant.take', params: { signed } }
  return toOpened(await callControl({ ...call, ...(fetch === undefined ? {} : { fetch }) }))
}

function toOpened(result: Json): OpenedGrant {
  const { id, principal } = isJsonObject(result) ? result : {}
  if (typeof id === 'string' && isJsonObject(principal)) {
    const { type, id: name } = principal
    if (typeof type === 'string' && typeof name === 'string') return { id, principal: { type, id: name } }
  }
  throw new InputError('the answer of the control plane is no grant')
}
