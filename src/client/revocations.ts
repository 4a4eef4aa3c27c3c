/**
 * @module
 * Revocations for whoever redeems action credentials in another process: follows the feed of the issuer over one signed request
 * after another, and answers its canaries. Without news it goes stale, and stale denies.
 */
import { setTimeout } from 'node:timers/promises'

import type { ActionClaims } from '../core/credential.ts'
import { UnavailableError } from '../core/errors.ts'
import type { Reason } from '../core/reasons.ts'
import { dimensionsOf, refuseRevoked } from '../core/revoked.ts'
import { randomId } from '../crypto/base64.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import type { KeyPair } from '../crypto/keys.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { openClientKey, type ClientKey } from './client-key.ts'
import { createIssuerJwks, type IssuerJwks } from './issuer-jwks.ts'
import { toEndpoint } from './post-signed.ts'
import { createRevocationReader } from './revocation-reader.ts'
import { readStream, type StreamOptions } from './revocation-stream.ts'
import type { Fetch } from './send.ts'

export interface RevocationViewOptions {
  /** The gateway's origin, or any URL of it. */
  readonly url: string | URL
  /** `iss` of what it issues. */
  readonly issuer: string
  /** The PEP's own key, of role `pep`. */
  readonly key: ClientKey
  /** The issuer's public keys; fetched from its JWKS when absent. */
  readonly keys?: IssuerJwks | Pick<IssuerKeys, 'find'>
  readonly fetch?: Fetch
  /** Stale after so many milliseconds without a heartbeat, where that is sooner than what the issuer says (5 s). */
  readonly staleMs?: number
  /**
   * Tries the canary on the way that every credential goes here, and says why it was refused. Absent: on what this view knows.
   */
  readonly tryCanary?: (credential: string) => Promise<Reason | undefined>
  /** Told why a stream ended; never anything of what was received. */
  readonly report?: (problem: string) => void
}

/** A feed of revocations for `createCredentialAuthority` and everything else that takes one. */
export interface RevocationView extends RevocationFeed {
  /** Why a credential with these claims is refused now: `credential.revoked`, `system.stale-revocations`, or not at all. */
  refuse(claims: ActionClaims): Reason | undefined
  /** True also while nobody can say: stale denies. */
  isRevoked(claims: ActionClaims): boolean
  /**
   * Watches over what was begun with a credential: `signal` is aborted when something of it is revoked. Call `land` when it is
   * over. It is not aborted when the feed goes stale: what was redeemed while it was fresh may end.
   */
  watch(claims: ActionClaims): { readonly signal: AbortSignal; land(): void }
  /** Settles when it is fresh for the first time; rejects with `UnavailableError` after `ms`, and goes on trying all the same. */
  ready(ms?: number): Promise<void>
  /** Why it is stale, for the operator's log; undefined while it is fresh. */
  problem(): string | undefined
  close(): void
}

const FIRST_RETRY_MS = 100
const LAST_RETRY_MS = 5_000
/** A stream is followed by another before clocks can drift apart, and before the issuer ends it. */
const RENEW_MS = 5 * 60_000
const READY_MS = 10_000

interface View extends StreamOptions {
  readonly options: RevocationViewOptions
  readonly closing: AbortController
  problem: string
}

/**
 * Follows the feed at once and until `close`. Does not throw for an issuer that cannot be reached: the view is stale until it
 * can. Keeps no process alive by itself. Does not verify credentials, and does not undo what was begun with one.
 */
export function createRevocationView(options: RevocationViewOptions): RevocationView {
  const fetch = options.fetch ?? globalThis.fetch
  const keys = toJwks(options, fetch)
  let opened: Promise<KeyPair> | undefined
  const view: View = {
    options,
    issuer: options.issuer,
    endpoint: toEndpoint(options.url, '/revocations'),
    reader: createRevocationReader({
      issuer: options.issuer,
      keys,
      monotonic: () => performance.now(),
      ...(options.staleMs === undefined ? {} : { staleMs: options.staleMs }),
    }),
    keys,
    key: async () => (opened ??= openClientKey(options.key)),
    fetch,
    instance: randomId(),
    ...(options.tryCanary === undefined ? {} : { tryCanary: options.tryCanary }),
    closing: new AbortController(),
    problem: 'the feed of revocations has not begun',
  }
  const first = Promise.withResolvers<undefined>()
  first.promise.catch(() => undefined)
  follow(view, () => first.resolve(undefined)).catch((fault: unknown) => {
    view.problem = fault instanceof Error ? fault.message : 'the view of revocations failed'
  })
  const { reader } = view
  return {
    rev: () => reader.rev(),
    fresh: () => reader.fresh(),
    find: (dimension, id) => reader.find(dimension, id),
    subscribe: (listener) => reader.subscribe(listener),
    refuse: (claims) => refuseRevoked(reader, claims),
    isRevoked: (claims) => refuseRevoked(reader, claims) !== undefined,
    watch: (claims) => watch(reader, claims),
    ready: async (ms = READY_MS) => waitFor(view, first.promise, ms),
    problem: () => (reader.fresh() ? undefined : view.problem),
    close() {
      view.closing.abort()
      view.problem = 'the view of revocations is closed'
    },
  }
}

/** Watches over what was begun with a credential, as `RevocationView.watch`, over any feed. */
export function watch(reader: RevocationFeed, claims: ActionClaims): { readonly signal: AbortSignal; land(): void } {
  const controller = new AbortController()
  const stop = (): void => controller.abort(new DOMException('revoked', 'AbortError'))
  const land = reader.subscribe(({ dimension, id }) => {
    if (dimensionsOf(claims).some((each) => each[0] === dimension && each[1] === id)) stop()
  })
  if (refuseRevoked(reader, claims) === 'credential.revoked') stop()
  return { signal: controller.signal, land }
}

function toJwks({ keys, url }: RevocationViewOptions, fetch: Fetch): IssuerJwks {
  if (keys === undefined) return createIssuerJwks({ url, fetch })
  return 'prepare' in keys ? keys : { find: (kid) => keys.find(kid), prepare: async () => Promise.resolve() }
}

async function waitFor(view: View, first: Promise<undefined>, ms: number): Promise<void> {
  const late = setTimeout(ms, 'late' as const, { ref: false })
  if ((await Promise.race([first, late])) === 'late')
    throw new UnavailableError(`there is no fresh feed of revocations: ${view.problem}`)
}

/** One stream after another, the next before the last has ended; longer and longer apart while none begins. */
async function follow(view: View, onFresh: () => void): Promise<void> {
  const { signal } = view.closing
  let delay = FIRST_RETRY_MS
  let last: AbortController | undefined
  while (!signal.aborted) {
    const stream = new AbortController()
    const before = last
    const onBeat = (): void => {
      before?.abort()
      delay = FIRST_RETRY_MS
      if (view.reader.fresh()) onFresh()
    }
    last = stream
    const ended = readStream(view, AbortSignal.any([signal, stream.signal]), onBeat)
    const renewed = setTimeout(RENEW_MS, undefined, { signal, ref: false }).catch(() => undefined)
    const problem = await Promise.race([ended, renewed])
    if (problem === undefined) continue
    stream.abort()
    if (view.closing.signal.aborted) return
    view.problem = problem
    view.options.report?.(problem)
    await setTimeout(delay * (0.5 + Math.random() / 2), undefined, { signal, ref: false }).catch(() => undefined)
    delay = Math.min(delay * 2, LAST_RETRY_MS)
  }
}
