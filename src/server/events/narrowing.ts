/**
 * @module
 * What a received event does here: it ends tasks, takes back what was opened with a proof of its issuer, and stops agents that an
 * operator has named. There is no way from here to a key, a grant, a task or a mode.
 */
import type { RevocationDimension, Task } from '../../core/evidence.ts'
import { TASK_PREFIX } from '../../core/records.ts'
import type { Asked } from '../../core/security-event.ts'
import { EVENT_SKEW_MS } from '../../crypto/security-event.ts'
import type { EnrolledKey, Grant } from '../../index.ts'
import type { Store } from '../../ports/store.ts'
import { listAll } from '../acts.ts'
import type { Grants } from '../grants.ts'
import type { Keys } from '../keys.ts'
import type { Revocations } from '../revocations.ts'
import { isOwn, toComparable, type EventIssuer, type Named } from './namespace.ts'

export interface NarrowingOptions {
  readonly store: Store
  readonly keys: Pick<Keys, 'list'>
  readonly grants: Pick<Grants, 'list'>
  readonly revocations: Pick<Revocations, 'revoke' | 'find'>
  readonly now: () => number
}

export interface Narrowing {
  readonly rule: EventIssuer
  readonly named: Named
  readonly asked: Asked
  /** Milliseconds since the epoch. What was opened later is not meant. */
  readonly issuedAt: number
}

export interface Narrowed {
  readonly dimension: RevocationDimension
  readonly id: string
}

/** Revokes, and answers what. What was revoked before is not revoked again. Rejects when the store cannot be read. */
export async function narrow(options: NarrowingOptions, narrowing: Narrowing): Promise<readonly Narrowed[]> {
  const { rule, named, asked } = narrowing
  if (asked === 'nothing') return []
  const isMeant = (openedAt: number): boolean => openedAt <= narrowing.issuedAt + EVENT_SKEW_MS
  const agent = named.agent === undefined ? undefined : await findAgent(options, named.agent)
  // A key that was enrolled since under the same name is another one.
  if (named.agent !== undefined && (agent === undefined || !isMeant(agent.enrolledAt))) return []
  const stopped: readonly Narrowed[] =
    agent !== undefined && asked === 'stop' && named.session === undefined
      ? [{ dimension: 'actor', id: agent.jkt }]
      : []
  const tasks = (await listAll<Task>(options.store, TASK_PREFIX)).filter(
    (task) => task.expires > options.now() && isMeant(task.openedAt) && isOfNamed(rule, named, task, agent),
  )
  const grants = named.session === undefined ? await findGrants(options, narrowing) : []
  const all: readonly Narrowed[] = [
    ...stopped,
    ...grants.map(({ id }) => ({ dimension: 'grant' as const, id })),
    ...tasks.map(({ txn }) => ({ dimension: 'task' as const, id: txn })),
  ]
  return revokeAll(options, rule, all)
}

async function findAgent({ keys }: NarrowingOptions, given: string): Promise<EnrolledKey | undefined> {
  const agents = await keys.list('agent')
  return agents.find(({ jkt, name }) => jkt === given || name === given)
}

function isOfNamed(rule: EventIssuer, { principals, session }: Named, task: Task, agent?: EnrolledKey): boolean {
  if (session !== undefined && task.txn !== session) return false
  if (agent !== undefined) return task.actor === agent.jkt
  if (principals.length > 0) return principals.includes(toComparable(task.principal))
  return isOwn(rule, task.principal)
}

/**
 * Those that rest on the word of this very issuer: given before the event, by its own clock, however late the event comes and
 * whenever the grant begins. What an operator or the principal granted does not.
 */
async function findGrants(
  { grants, now }: NarrowingOptions,
  { rule, named, issuedAt }: Narrowing,
): Promise<readonly Grant[]> {
  if (named.principals.length === 0) return []
  return (await grants.list()).filter(
    (grant) =>
      grant.expires > now() &&
      (grant.issuedBy.vouchedAt ?? 0) <= issuedAt &&
      grant.issuedBy.issuer === rule.issuer &&
      named.principals.includes(toComparable(grant.principal)),
  )
}

async function revokeAll(
  { revocations }: NarrowingOptions,
  { issuer }: EventIssuer,
  all: readonly Narrowed[],
): Promise<readonly Narrowed[]> {
  const fresh = all.filter(({ dimension, id }) => revocations.find(dimension, id) === undefined)
  // In force at once, each of them; the disk is waited for once, below.
  await Promise.all(fresh.map(async ({ dimension, id }) => revocations.revoke(dimension, id, { jkt: issuer })))
  return fresh
}
