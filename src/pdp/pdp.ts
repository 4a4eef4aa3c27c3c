/**
 * @module
 * Wires the decision chain over what it is given: stores, engines, effects, keys. Constructs no store and no engine.
 */
import type { Evidence } from '../core/evidence.ts'
import { createCredentialAuthority } from '../crypto/credential.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import type { ToolFacts } from '../core/manifest.ts'
import type { Clock } from '../ports/clock.ts'
import type { EffectComputer } from '../ports/effects.ts'
import type { Engine } from '../ports/engine.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import type { Admission } from './admission.ts'
import type { ApprovalLimits } from './approval-quota.ts'
import { createCanary, type Canary } from './canary.ts'
import { createEnforcer, type Enforce } from './enforcer.ts'
import { createGather } from './gather.ts'
import { createHistories } from './histories.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import { createIssuer, type Issue } from './issuer.ts'
import { createLanes } from './lanes.ts'
import type { Modes } from './modes.ts'
import type { Suspensions } from './suspensions.ts'
import type { Telemetry } from './telemetry.ts'

export interface PdpOptions {
  readonly store: Store
  readonly clock: Clock
  readonly feed: RevocationFeed
  readonly engines: readonly Engine[]
  readonly effects: EffectComputer
  readonly telemetry: Telemetry
  readonly issuer: string
  readonly issuerKeys: IssuerKeys
  readonly deployment: Evidence['deployment']
  readonly modes: Modes
  readonly tool: (upstream: string, tool: string, descriptorHash: string | undefined) => ToolFacts
  readonly generation: () => number
  readonly limits: ApprovalLimits & { readonly deadlineMs: number }
  readonly admission: Admission
  readonly suspensions: Suspensions
  readonly credentialTtlSeconds: number
  readonly anomalyThreshold: number
  readonly report: (where: string, fault: unknown) => void
}

/** What may change while it runs. */
export type PdpSettings = Pick<
  PdpOptions,
  'engines' | 'deployment' | 'limits' | 'credentialTtlSeconds' | 'anomalyThreshold'
>

export interface Pdp {
  readonly enforce: Enforce
  /** Decides an action that another process will perform, and gives what passes a credential for it. */
  readonly issue: Issue
  readonly inFlight: InFlight
  /** Tries whether a credential under a revoked dimension is refused at redemption, as it must be. */
  readonly canary: Canary
  /**
   * Decides by other settings from the next request on, at once. What was begun ends under those that it was begun with; the
   * promise settles when nothing is left of it, and what they hold (engines) may be closed.
   */
  configure(settings: PdpSettings): Promise<void>
  close(): void
}

export function createPdp(options: PdpOptions): Pdp {
  const { store, clock, feed } = options
  const histories = createHistories(store)
  const inFlight = createInFlight(feed)
  // The decision's own commit burns the `jti` of what it issues; here it is taken, once, by the redemption in this process.
  // That saves a wait for the disk before every action, and a crash in between leaves a credential that nobody can redeem.
  const reserved = new Set<string>()
  const authority = createCredentialAuthority({
    issuer: options.issuer,
    key: options.issuerKeys,
    feed,
    clock,
    burn: async (jti, expires) => {
      if (reserved.delete(jti)) return true
      const result = await store.commit({ burns: [{ domain: 'jti', id: jti, expires }] })
      if (result.status !== 'applied') return false
      await result.durable
      return true
    },
  })
  const lanes = createLanes()
  const build = (settings: PdpSettings): Counted => {
    const all = { ...options, ...settings, histories, inFlight }
    const chain = { ...all, gather: createGather(all), lanes, authority, reserved }
    return count(createEnforcer(chain), createIssuer(chain))
  }
  let current = build(options)
  return {
    enforce: async (request, perform) => current.enforce(request, perform),
    issue: async (...asked) => current.issue(...asked),
    async configure(settings) {
      const before = current
      current = build(settings)
      return before.idle()
    },
    inFlight,
    canary: createCanary({ authority, feed, clock, issuer: options.issuer }),
    close: () => inFlight.close(),
  }
}

interface Counted {
  readonly enforce: Enforce
  readonly issue: Issue
  /** Settles when nothing runs; nothing new may be begun by then. */
  idle(): Promise<void>
}

function count(enforce: Enforce, issue: Issue): Counted {
  let running = 0
  const { promise, resolve } = Promise.withResolvers<undefined>()
  let waited = false
  const settle = (): void => {
    if (waited && running === 0) resolve(undefined)
  }
  const during = async <T>(work: () => Promise<T>): Promise<T> => {
    running += 1
    try {
      return await work()
    } finally {
      running -= 1
      settle()
    }
  }
  return {
    enforce: async (request, perform) => during(async () => enforce(request, perform)),
    issue: async (...asked) => during(async () => issue(...asked)),
    async idle() {
      waited = true
      settle()
      await promise
    },
  }
}
