/**
 * @module
 * Where credentials of an audience are burned: in a store of the resource server, or at the issuer. One audience has one burn
 * domain; whoever starts without one is refused (design §5).
 */
import { digestOf } from '../core/bind.ts'
import type { ActionClaims } from '../core/credential.ts'
import { ConfigError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import type { ActionBody } from '../core/request.ts'
import { canonicalBytes } from '../core/canonical.ts'
import type { IssuerJwks } from '../client/issuer-jwks.ts'
import { openClientKey, type ClientKey } from '../client/client-key.ts'
import { readAnswer, send, toAnsweredReason } from '../client/send.ts'
import { randomId } from '../crypto/base64.ts'
import type { HeaderReader } from '../crypto/http-signature.ts'
import type { KeyPair } from '../crypto/keys.ts'
import { verifyRedemption, type RedemptionAnswer } from '../crypto/redemption-answer.ts'
import type { Burns } from '../ports/burns.ts'
import type { RevocationFeed } from '../ports/revocations.ts'

/** A request whose credential, proof and action were verified here. */
export interface Presented {
  readonly compact: string
  readonly claims: ActionClaims
  readonly action: ActionBody
  readonly headers: HeaderReader
}

export interface BurnDomain {
  /** What is asked before and after the burn. */
  readonly feed: RevocationFeed
  /** True the first time; false when it was burned; throws `RefusedError` for every other reason. */
  burn(presented: Presented, expiresMs: number): Promise<boolean>
  close(): void
}

/** What a guard knows when it opens its domain. */
export interface DomainContext {
  readonly issuer: string
  /** Where the issuer is reached. */
  readonly server: URL
  /** The resource server as clients know it. */
  readonly origin: string
  readonly keys: IssuerJwks
  readonly fetch: typeof globalThis.fetch
  /** Milliseconds since the epoch. */
  readonly now: () => number
  readonly skewSeconds: number
}

export type OpenDomain = (context: DomainContext) => BurnDomain

export interface RedeemHere {
  /** `memoryBurns()` for one process, `sqliteBurns(PATH)` for several on one machine, or your own over what they share. */
  readonly burns: Burns
  /** How many processes serve this audience, over all machines. Default 1. */
  readonly replicas?: number
  /** What the issuer has revoked, as it happens. */
  readonly revocations: RevocationFeed
}

/**
 * Credentials are burned in a store of this resource server, and revocations come over the feed: nobody else is asked. Throws
 * `ConfigError` for several replicas without a store that they share. Does not see burns in any other store.
 */
export function redeemHere({ burns, replicas = 1, revocations }: RedeemHere): OpenDomain {
  if (!Number.isSafeInteger(replicas) || replicas < 1) throw new ConfigError('`replicas` is a whole number from 1')
  if (replicas > 1 && !burns.isShared)
    throw new ConfigError(
      `${replicas} replicas without a store that they share would redeem a credential ${replicas} times; give them one, or redeem at the issuer`,
    )
  return ({ now, skewSeconds }) => ({
    feed: revocations,
    async burn({ claims }, expiresMs) {
      // Of a credential from before nobody knows here whether it was burned. The clock of the issuer may be ahead of this one.
      if (claims.iat < burns.since() / 1000 + skewSeconds)
        throw new RefusedError('credential.expired', 'issued before this resource server remembers')
      if (expiresMs <= now()) return false
      return burns.burn(`jti/${encodeURIComponent(claims.aud)}/${encodeURIComponent(claims.jti)}`, expiresMs)
    },
    close: () => burns.close(),
  })
}

export interface RedeemAtIssuer {
  /** The key that is enrolled as `pep` and named in `peps` of the audience. */
  readonly key: ClientKey
  /** What the issuer has revoked, as it happens, so that what was begun can be stopped (`Redeemed.signal`). */
  readonly revocations?: RevocationFeed
}

/** The issuer looks at revocations itself, at the moment of the burn. */
const ASKED_THERE: RevocationFeed = {
  rev: () => Number.MAX_SAFE_INTEGER,
  fresh: () => true,
  find: () => undefined,
  subscribe: () => () => undefined,
}

const TIMEOUT_MS = 5_000

/**
 * Credentials are burned at the issuer, by one signed request for each (`POST /redeem`): right for any number of replicas. Where
 * the issuer does not answer nothing is redeemed. Without `revocations` it does not tell what is revoked after redemption; with
 * them, stale ones refuse.
 */
export function redeemAtIssuer({ key, revocations = ASKED_THERE }: RedeemAtIssuer): OpenDomain {
  return (context) => {
    const caller = createCaller(context, key)
    return {
      feed: revocations,
      async burn(presented) {
        const answer = await caller(presented)
        if (answer.active) return true
        if (answer.reason === 'credential.replayed') return false
        throw new RefusedError(answer.reason, 'the issuer does not redeem it')
      },
      close: () => undefined,
    }
  }
}

type Caller = (presented: Presented) => Promise<RedemptionAnswer>

/** Asks under the nonce of the last answer, so that one request is enough nearly always. */
function createCaller(context: DomainContext, given: ClientKey): Caller {
  let opened: Promise<KeyPair> | undefined
  let nonce: string | undefined
  return async (presented) => {
    const key = await (opened ??= openClientKey(given))
    const body = toQuestion(presented, context.origin)
    for (const isLast of [false, true]) {
      const own = `${nonce ?? 'first'}.${randomId()}`
      const response = await ask(context, key, body, own)
      if (response.ok) return read(context, key, await response.text(), own, presented.compact)
      const answered = await readAnswer(response)
      nonce = response.headers.get('unbearer-nonce') ?? undefined
      const isToTryAgain = toAnsweredReason(answered) === 'identity.use-nonce' && nonce !== undefined && !isLast
      if (!isToTryAgain) throw new UnavailableError(`the issuer answered with status ${response.status}`)
    }
    throw new UnavailableError('the issuer takes no nonce')
  }
}

async function ask(
  { server, fetch, now }: DomainContext,
  key: KeyPair,
  body: JsonObject,
  nonce: string,
): Promise<Response> {
  return send({
    key,
    fetch,
    url: new URL('/redeem', server),
    method: 'POST',
    headers: new Headers({ 'content-type': 'application/json' }),
    body: Uint8Array.from(canonicalBytes(body)),
    nonce,
    now,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
}

/** The question of `docs/reference/wire.md`: the request as it was received, without its body. */
function toQuestion({ compact, claims, action, headers }: Presented, origin: string): JsonObject {
  const [{ salt }] = claims.authorization_details
  const proof = { dpop: headers('dpop'), signatureInput: headers('signature-input'), signature: headers('signature') }
  const lines = Object.entries(proof).flatMap(([name, value]) => {
    const [line] = [value ?? []].flat()
    return line === undefined ? [] : [[name, line] as const]
  })
  return {
    credential: compact,
    digest: digestOf(action, Buffer.from(salt, 'base64url')),
    proof: { ...action, origin, ...Object.fromEntries(lines) },
  }
}

async function read(
  { keys, issuer }: DomainContext,
  key: KeyPair,
  signed: string,
  nonce: string,
  credential: string,
): Promise<RedemptionAnswer> {
  await keys.prepare(signed)
  const answer = verifyRedemption(signed, { keys, issuer, jkt: key.jkt, nonce, credential })
  if (answer === undefined) throw new UnavailableError('the issuer did not sign an answer to this question')
  return answer
}
