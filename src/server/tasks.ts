/**
 * @module
 * Tasks (`txn`): minted here, by a host or operator key with a purpose, or for a connection that has none. The purpose is
 * the only text that vouches for the principal, so agents never open tasks (design §4).
 */
import { hashOf } from '../core/bind.ts'
import type { EnrolledKey, Task } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import { asJson } from '../core/json.ts'
import { taskRecord } from '../core/records.ts'
import type { Entity } from '../core/request.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { perform, readOne, type ServiceOptions } from './acts.ts'
import type { Grants } from './grants.ts'
import type { Keys } from './keys.ts'

export interface TasksOptions extends ServiceOptions {
  readonly keys: Keys
  readonly grants: Grants
  /** What was revoked. */
  readonly feed: Pick<RevocationFeed, 'find'>
}

export interface TaskOpening {
  /** What the principal asked for, in their words. */
  readonly purpose: string
  /** A bare id is of type `user`. */
  readonly principal: string | Pick<Entity, 'type' | 'id'>
  /** Name or thumbprint of an enrolled agent key. */
  readonly actor: string
  /** A grant's id; without it the only valid grant of this principal to this actor. */
  readonly grant?: string
  readonly openedBy: EnrolledKey
}

export interface Tasks {
  /**
   * Opens a task. Throws `RefusedError` unless a host, an operator or the principal opens it, `InputError` when the actor or the grant is not
   * there or revoked, or several grants fit. A task without any grant is opened all the same: its principal is only asserted.
   */
  open(opening: TaskOpening): Promise<Task>
  /** Opens a task without a purpose for a connection, under the only valid grant of its actor where there is just one. */
  openForConnection(connection: { readonly jkt?: string }): Promise<Task>
  find(txn: string): Promise<Task | undefined>
}

/** 8 hours, in milliseconds. */
const TASK_TTL_MS = 8 * 60 * 60 * 1000
const MAX_PURPOSE = 16_384

export function createTasks(options: TasksOptions): Tasks {
  return {
    open: async (opening) => openTask(options, opening),
    openForConnection: async ({ jkt }) => openForConnection(options, jkt),
    find: async (txn) => readOne<Task>(options.store, taskRecord(txn)),
  }
}

async function openTask(options: TasksOptions, opening: TaskOpening): Promise<Task> {
  const { purpose, openedBy } = opening
  if (openedBy.role !== 'host' && openedBy.role !== 'operator' && openedBy.role !== 'principal') {
    throw new RefusedError('identity.key-role', 'only a host, an operator or the principal opens tasks')
  }
  if (purpose.trim() === '' || purpose.length > MAX_PURPOSE) {
    throw new InputError(`a purpose is a text of 1 to ${MAX_PURPOSE} characters`)
  }
  const principal = parsePrincipal(opening.principal)
  assertOwn(openedBy, principal)
  const actor = await findActor(options, opening.actor)
  const grant = await chooseGrant(options, opening.grant, actor, principal)
  return record(options, {
    ...toTimes(options),
    purpose,
    purposeHash: hashOf(purpose),
    principal,
    actor: actor.jkt,
    ...(grant === undefined ? {} : { grant: grant.id }),
    openedBy: { role: openedBy.role, jkt: openedBy.jkt },
  })
}

async function openForConnection(options: TasksOptions, jkt: string | undefined): Promise<Task> {
  const times = toTimes(options)
  const valid = jkt === undefined ? [] : toEligible(options, await options.grants.findFor(jkt))
  const grant = valid.length === 1 ? valid[0] : undefined
  return record(options, {
    ...times,
    principal: grant?.principal ?? { type: 'connection', id: times.txn },
    ...(jkt === undefined ? {} : { actor: jkt }),
    ...(grant === undefined ? {} : { grant: grant.id }),
    openedBy: { role: 'connection', ...(jkt === undefined ? {} : { jkt }) },
  })
}

function toTimes({ newId, clock }: TasksOptions): Pick<Task, 'txn' | 'openedAt' | 'expires'> {
  const openedAt = clock.now()
  return { txn: newId(), openedAt, expires: openedAt + TASK_TTL_MS }
}

async function record(options: TasksOptions, task: Task): Promise<Task> {
  const subject = `${task.principal.type}/${task.principal.id}`
  return perform(options, async (read) => {
    // Read, so that a txn that was minted before cannot be opened anew.
    if ((await read<Task>(taskRecord(task.txn))) !== undefined) throw new InputError('this task exists already')
    return {
      result: task,
      writes: [{ key: taskRecord(task.txn), value: asJson(task), subject }],
      act: 'task.open',
      by: task.openedBy.jkt ?? 'system',
      subject,
      detail: asJson(task),
    }
  })
}

/** A bare id is a user, as in the human form of a grant. */
function parsePrincipal(given: TaskOpening['principal']): Pick<Entity, 'type' | 'id'> {
  const { type, id } = typeof given === 'string' ? { type: 'user', id: given } : given
  if (id !== '' && type !== '' && id.length <= 512) return { type, id }
  throw new InputError('a principal is an id such as `alice`, or a type and an id')
}

/** A principal's key speaks for that principal. */
function assertOwn({ role, principal: own }: EnrolledKey, { type, id }: Pick<Entity, 'type' | 'id'>): void {
  if (role === 'principal' && (own?.type !== type || own.id !== id))
    throw new RefusedError('identity.key-role', 'a principal opens tasks for nobody else')
}

async function findActor({ keys, feed }: TasksOptions, given: string): Promise<EnrolledKey> {
  const found = (await keys.findByName('agent', given)) ?? (await keys.find(given))
  if (found?.role === 'agent' && feed.find('actor', found.jkt) === undefined) return found
  if (found?.role === 'agent')
    throw new InputError(`the agent \`${given}\` is revoked; enrol another key under another name`)
  throw new InputError(`there is no agent key \`${given}\`; enrol it with \`unbearer agents enrol\``)
}

/**
 * Those that a task may take by itself: what was opened in need is named or not taken, and what is revoked is not in the way
 * of what is not. Where nothing else is left it stays: a task under a revoked grant is refused in every mode, one without a
 * grant is not.
 */
function toEligible({ feed }: TasksOptions, grants: readonly Grant[]): readonly Grant[] {
  const ordinary = grants.filter(({ breakGlass }) => breakGlass !== true)
  const standing = ordinary.filter(({ id }) => feed.find('grant', id) === undefined)
  return standing.length === 0 ? ordinary : standing
}

function assertStanding({ feed }: TasksOptions, grant: Grant): Grant {
  if (feed.find('grant', grant.id) === undefined) return grant
  throw new InputError(`grant \`${grant.id}\` is revoked; issue another with \`unbearer grant create\``)
}

async function chooseGrant(
  options: TasksOptions,
  named: string | undefined,
  actor: EnrolledKey,
  principal: Pick<Entity, 'type' | 'id'>,
): Promise<Grant | undefined> {
  const valid = await options.grants.findFor(actor.jkt, principal)
  if (named !== undefined) {
    const found = valid.find(({ id }) => id === named)
    if (found !== undefined) return assertStanding(options, found)
    throw new InputError(
      `grant \`${named}\` is not a valid grant of this principal to \`${actor.name}\``,
      'scope.no-grant',
    )
  }
  const eligible = toEligible(options, valid)
  const [only] = eligible
  if (eligible.length <= 1) return only === undefined ? undefined : assertStanding(options, only)
  throw new InputError(
    `several grants of this principal to \`${actor.name}\` are valid, name one: ${eligible.map(({ id }) => `\`${id}\``).join(', ')}`,
  )
}
