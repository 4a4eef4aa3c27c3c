/**
 * @module
 * MCP sessions of the gateway's own making. Each belongs to one route, one key and one task; whoever comes with any
 * other of the three is told what somebody with an invented id is told.
 */
import { randomBytes } from 'node:crypto'
import type { Caller, Task } from '../../index.ts'
import type { Catalogue } from './catalogue.ts'
import type { Era } from './envelope.ts'
import type { SessionEvents } from './session-events.ts'
import type { UpstreamConfig } from './types.ts'
import type { ServerNotification, UpstreamConnection } from './upstream.ts'

/** Milliseconds without a request and without a stream after which a session is ended. */
const IDLE = 30 * 60_000
const SWEEP = 60_000
const LIMIT = 200
/** No key takes all places; those without proof share one. */
const OWNER_LIMIT = 100

export interface McpSession {
  readonly id: string
  readonly era: Era
  readonly upstream: UpstreamConfig
  readonly binding: string
  readonly owner: string
  /** The task of requests that bring none of their own; replaced when its time is over, because clients stay for days. */
  task: Task
  readonly connection: UpstreamConnection
  readonly catalogue: Catalogue
  readonly version: string
  /** What is under way, by id of the request. */
  readonly inFlight: Map<string, AbortController>
  /** The resources whose updates it is told of. */
  readonly subscriptions: Set<string>
  readonly events: SessionEvents
  /** Who else is told what the server says of changes. */
  readonly listeners: Set<(message: ServerNotification) => void>
  lastUsed: number
}

export interface McpSessions {
  /** Reserves a place for a key; false when it has too many or all are taken. Given up by `add` or by `forgo`. */
  reserve(owner: string): boolean
  forgo(owner: string): void
  /** As `reserve`; what has no session that somebody would miss makes room, the one that was used longest ago. */
  reserveOrEvict(owner: string): Promise<boolean>
  add(made: Omit<McpSession, 'id' | 'inFlight' | 'lastUsed'>): McpSession
  /** The session, if this caller on this route may use it. */
  find(id: string, binding: string): McpSession | undefined
  /** The connection of the later era for this binding. */
  findBound(binding: string): McpSession | undefined
  remove(held: McpSession): Promise<void>
  close(): Promise<void>
}

/** A client that listens is there, also when it asks for nothing. */
function isUsed({ inFlight, events }: McpSession): boolean {
  return inFlight.size > 0 || events.isOpen()
}

/** What a session is bound to: the route, the key that proved the request, and the task that the caller came with. */
export function toBinding(upstream: string, caller: Caller): string {
  const { grade, jkt } = caller.proof
  return JSON.stringify([upstream, jkt === undefined ? { grade } : jkt, caller.task?.txn ?? null])
}

/** Whose place a session takes. */
export function toOwner({ proof }: Caller): string {
  return proof.jkt ?? proof.grade
}

/** `isStopped`: nothing may be done in a task any more, so that its session takes nobody's place and its server may end. */
export function createMcpSessions(clock: { now(): number }, isStopped: (task: Task) => boolean): McpSessions {
  const held = new Map<string, McpSession>()
  const reserved: string[] = []
  const release = (owner: string): void => {
    const at = reserved.indexOf(owner)
    if (at >= 0) reserved.splice(at, 1)
  }
  const remove = async (each: McpSession): Promise<void> => {
    held.delete(each.id)
    each.events.close()
    for (const running of each.inFlight.values()) running.abort()
    await each.connection.close()
  }
  const isOver = (each: McpSession): boolean =>
    !each.connection.isOpen() || (!isUsed(each) && clock.now() - each.lastUsed > IDLE)
  // Still found by whoever has it, so that they are told why.
  const isToGo = (each: McpSession): boolean => isOver(each) || (each.inFlight.size === 0 && isStopped(each.task))
  const sweep = (): void => {
    Promise.allSettled([...held.values()].filter(isToGo).map(remove)).catch(() => undefined)
  }
  const timer = setInterval(sweep, SWEEP).unref()
  const reserve = (owner: string): boolean => {
    const owners = [...[...held.values()].filter((each) => !isToGo(each)).map((each) => each.owner), ...reserved]
    const isFree = owners.length < LIMIT && owners.filter((each) => each === owner).length < OWNER_LIMIT
    if (isFree) reserved.push(owner)
    return isFree
  }
  return {
    reserve,
    reserveOrEvict: async (owner) => {
      if (reserve(owner)) return true
      const [oldest] = [...held.values()]
        .filter((each) => each.era === 'stateless' && each.owner === owner && each.inFlight.size === 0)
        .toSorted((one, other) => one.lastUsed - other.lastUsed)
      if (oldest === undefined) return false
      await remove(oldest)
      return reserve(owner)
    },
    forgo: release,
    add: (made) => {
      release(made.owner)
      const id = randomBytes(16).toString('base64url')
      const added: McpSession = { ...made, id, inFlight: new Map(), lastUsed: clock.now() }
      held.set(id, added)
      return added
    },
    find: (id, binding) => {
      const found = held.get(id)
      if (found === undefined || found.binding !== binding || isOver(found)) return undefined
      found.lastUsed = clock.now()
      return found
    },
    findBound: (binding) => {
      const found = [...held.values()].find((each) => each.binding === binding && !isOver(each))
      if (found !== undefined) found.lastUsed = clock.now()
      return found
    },
    remove,
    close: async () => {
      clearInterval(timer)
      await Promise.allSettled([...held.values()].map(remove))
    },
  }
}
