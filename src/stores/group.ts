/**
 * @module
 * Group commit: many units, one transaction of the engine below, one signed checkpoint, one wait for the disk. What is
 * common to the stores; the engine comes in as hooks. Everything runs synchronously, so a unit is never half in a group.
 */
import { InvariantError, UnavailableError } from '../core/errors.ts'
import { type Frontier, rootOf } from '../core/merkle.ts'
import { parseTreeHead } from '../core/tlog.ts'
import type { Seal } from '../ports/store.ts'

export interface GroupHooks {
  /** Opens the transaction. */
  readonly begin: () => void
  /** Seals the tree when it has grown and makes all durable. Returns the checkpoint when there is a new one. */
  readonly commit: () => string | undefined
  /** Undoes all that was applied since `begin`, in the engine and in memory. */
  readonly undo: () => void
  /** Keeps the head outside the store. */
  onSealed?: ((checkpoint: string) => void) | undefined
}

export interface Group {
  /** Opens a group unless one is open. Throws `UnavailableError` when that cannot be done. */
  enter(): void
  /** Counts an applied unit in. The promise settles with the group. */
  join(): Promise<void>
  /** The engine gave the transaction up by itself: the whole group is lost. */
  abandon(cause: unknown): void
  /** Ends the open group now. */
  flush(): void
}

/** After so many units a group does not wait for the event loop: it bounds what one failure can undo. */
const MAX_UNITS = 256

interface Open {
  readonly done: PromiseWithResolvers<void>
  readonly timer: NodeJS.Immediate
  units: number
}

/** Creates the group of one store. Does not serialise processes: that is the fence of the store. */
export function createGroup(hooks: GroupHooks, maxUnits: number = MAX_UNITS): Group {
  let open: Open | undefined
  let owed: string | undefined

  function keepHead(): void {
    if (owed === undefined) return
    hooks.onSealed?.(owed)
    owed = undefined
  }

  function fail(group: Open, cause: unknown): void {
    const why = cause instanceof InvariantError ? `: ${cause.message}` : ''
    group.done.reject(
      new UnavailableError(`the group was not made durable and was undone${why}`, {
        cause,
        reason: 'system.log-unavailable',
      }),
    )
  }

  function take(): Open | undefined {
    const group = open
    open = undefined
    if (group !== undefined) clearImmediate(group.timer)
    return group
  }

  function flush(): void {
    const group = take()
    if (group === undefined) return
    try {
      owed = hooks.commit() ?? owed
    } catch (cause) {
      quietly(hooks.undo)
      fail(group, cause)
      return
    }
    // The group stands whatever happens to the head; `enter` asks for the head again before anything else is accepted.
    quietly(keepHead)
    group.done.resolve()
  }

  function enter(): void {
    if (open !== undefined) return
    attempt('the head outside the store cannot be written', keepHead)
    attempt('the store does not accept writes now', hooks.begin)
    open = { done: Promise.withResolvers<void>(), timer: setImmediate(flush), units: 0 }
    // Some callers do not wait for the disk; an undone group must not end the process because of them.
    open.done.promise.catch(() => undefined)
  }

  function join(): Promise<void> {
    if (open === undefined) throw new InvariantError('a unit joined no group')
    const { promise } = open.done
    open.units += 1
    if (open.units >= maxUnits) flush()
    return promise
  }

  function abandon(cause: unknown): void {
    const group = take()
    quietly(hooks.undo)
    if (group !== undefined) fail(group, cause)
  }

  return { enter, join, abandon, flush }
}

/** Has the head signed and makes sure that what came back is a checkpoint of exactly this tree. */
export function sealTree(seal: Seal, frontier: Frontier): string {
  const root = rootOf(frontier)
  const checkpoint = seal(frontier.size, root)
  const head = parseTreeHead(checkpoint)
  if (head === undefined || head.size !== frontier.size || !Buffer.from(root).equals(head.root))
    throw new InvariantError('the seal did not return a checkpoint of this tree')
  return checkpoint
}

function attempt(message: string, act: () => void): void {
  try {
    act()
  } catch (cause) {
    throw new UnavailableError(message, { cause, reason: 'system.log-unavailable' })
  }
}

function quietly(act: () => void): void {
  try {
    act()
  } catch {
    // Whoever calls this makes up for it: `enter` rolls back and writes the head again before it accepts anything.
  }
}
