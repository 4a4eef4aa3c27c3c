/**
 * @module
 * Who is turned away before anything is read or written for them: a suspended agent, an agent that asks for too much, and
 * everybody while the disk is nearly full. Turning away is cheap and appends no entry; how many there were is one entry a
 * minute and agent, so that a hijacked agent cannot fill the disk with its refusals (design §8).
 */
import type { JsonObject } from '../core/json.ts'
import type { Reason } from '../core/reasons.ts'

export interface AdmissionOptions {
  readonly limits: {
    readonly decisionsPerMinute: number
    /** Decisions and effects of one actor under way at once. */
    readonly underWayPerActor: number
  }
  readonly isSuspended: (jkt: string) => boolean
  /** True while the space that is left is kept for revocations, answers and restores. */
  readonly isSpaceLow: () => boolean
  /** Appends one entry. */
  readonly summarise: (detail: JsonObject) => Promise<void>
  readonly count: (reason: Reason) => void
  readonly report: (where: string, fault: unknown) => void
  /** A clock that nobody sets, in milliseconds. */
  readonly ticks?: () => number
  readonly windowMs?: number
}

export type Entered =
  | { readonly ok: true; readonly leave: () => void }
  | { readonly ok: false; readonly reason: Reason }

export interface Admission {
  /** Takes one decision of the actor's quota. `jkt` is the key that proved the request; without one all share a quota. */
  enter(jkt: string | undefined): Entered
  /** Looks without taking: for what costs something and is no decision. */
  turnAway(jkt: string | undefined): Reason | undefined
  /** Writes what is owed of summaries. */
  close(): Promise<void>
}

interface Window {
  start: number
  used: number
  underWay: number
  refused: Map<Reason, number>
  timer?: NodeJS.Timeout
}

const MINUTE_MS = 60_000
/** So many are remembered; whoever did nothing for a window is forgotten first. */
const MAX_WINDOWS = 10_000
/** The key of those who have none: no thumbprint looks like it. */
const UNPROVED = 'unproved'

export function createAdmission(options: AdmissionOptions): Admission {
  const { limits, ticks = () => performance.now(), windowMs = MINUTE_MS } = options
  const windows = new Map<string, Window>()

  function windowOf(actor: string): Window {
    const now = ticks()
    const found = windows.get(actor)
    if (found !== undefined && now - found.start < windowMs) return found
    if (found !== undefined) {
      found.start = now
      found.used = 0
      return found
    }
    if (windows.size >= MAX_WINDOWS) forgetIdle(windows, now, windowMs)
    const fresh: Window = { start: now, used: 0, underWay: 0, refused: new Map() }
    windows.set(actor, fresh)
    return fresh
  }

  function find(actor: string, window: Window): Reason | undefined {
    if (actor !== UNPROVED && options.isSuspended(actor)) return 'identity.suspended'
    if (options.isSpaceLow()) return 'system.space'
    const isOver = window.used >= limits.decisionsPerMinute || window.underWay >= limits.underWayPerActor
    return isOver ? 'system.quota' : undefined
  }

  function refuse(actor: string, window: Window, reason: Reason): void {
    options.count(reason)
    window.refused.set(reason, (window.refused.get(reason) ?? 0) + 1)
    window.timer ??= setTimeout(() => void settle(actor, window), windowMs).unref()
  }

  async function settle(actor: string, window: Window): Promise<void> {
    clearTimeout(window.timer)
    delete window.timer
    const refused = Object.fromEntries(window.refused)
    window.refused = new Map()
    if (Object.keys(refused).length === 0) return
    try {
      await options.summarise({ actor, refused })
    } catch (fault) {
      // The counters of `/metrics` have them all the same.
      options.report('summary of refusals', fault)
    }
  }

  return {
    turnAway(jkt) {
      const actor = jkt ?? UNPROVED
      const window = windowOf(actor)
      const reason = find(actor, window)
      if (reason !== undefined) refuse(actor, window, reason)
      return reason
    },
    enter(jkt) {
      const actor = jkt ?? UNPROVED
      const window = windowOf(actor)
      const reason = find(actor, window)
      if (reason !== undefined) {
        refuse(actor, window, reason)
        return { ok: false, reason }
      }
      window.used += 1
      window.underWay += 1
      return { ok: true, leave: () => void (window.underWay -= 1) }
    },
    async close() {
      await Promise.all([...windows].map(async ([actor, window]) => settle(actor, window)))
    },
  }
}

function forgetIdle(windows: Map<string, Window>, now: number, windowMs: number): void {
  for (const [actor, { start, underWay, timer }] of windows) {
    if (now - start >= windowMs && underWay === 0 && timer === undefined) windows.delete(actor)
  }
}
