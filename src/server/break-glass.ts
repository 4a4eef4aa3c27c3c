/**
 * @module
 * Break-glass grants: prepared by an operator, signed by several people, opened for minutes. Every step is an entry.
 */
import {
  isBroken,
  isSignatureFresh,
  MAX_BREAK_GLASS_MINUTES,
  toBreakGlassMessage,
  type BreakGlass,
  type BreakGlassPlan,
} from '../core/break-glass.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import { fail, readArray, readObject, readText, readWhole, type Field } from '../core/grant-fields.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { rolesOf } from '../core/operator-roles.ts'
import { parseGrant } from '../core/parse-grant.ts'
import { BREAK_GLASS_PREFIX, breakGlassRecord, keyRecord } from '../core/records.ts'
import { importKey, verifyBytes } from '../crypto/keys.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import { listAll, perform, readOne, type ReadOne, type ServiceOptions } from './acts.ts'
import { toGrantWrites } from './grants.ts'
import type { Keys } from './keys.ts'

export interface BreakGlasses {
  /** Throws `InputError` for a plan that is not whole, or names keys that may not answer approvals. Opens nothing. */
  prepare(value: Json, by: EnrolledKey): Promise<BreakGlass>
  list(): Promise<readonly BreakGlass[]>
  /** Throws `InputError` when there is none. */
  show(id: string): Promise<BreakGlass>
  /** Counts the signature of `by` for the next opening. Throws `RefusedError` when it is not theirs, or not for this. */
  sign(given: {
    readonly id: string
    readonly at: number
    readonly signature: string
    readonly by: EnrolledKey
  }): Promise<BreakGlass>
  /**
   * Issues the grant when enough of the named keys have signed within the last 15 minutes. Throws `RefusedError` otherwise. The
   * grant lets nobody skip an approval, prove nothing, or see a secret; it is only taken by a task that names it.
   */
  open(id: string, by: EnrolledKey): Promise<{ readonly breakGlass: BreakGlass; readonly grant: Grant }>
}

export interface BreakGlassOptions extends ServiceOptions {
  readonly issuer: string
  readonly keys: Keys
  readonly feed: Pick<RevocationFeed, 'find'>
  /** Told of every opening, for the operator's log. */
  readonly notice: (text: string) => void
}

export function createBreakGlasses(options: BreakGlassOptions): BreakGlasses {
  const { store } = options
  return {
    prepare: async (value, by) => prepare(options, value, by),
    list: async () => listAll<BreakGlass>(store, BREAK_GLASS_PREFIX),
    show: async (id) => known(await readOne<BreakGlass>(store, breakGlassRecord(id)), id),
    sign: async (given) => sign(options, given),
    open: async (id, by) => open(options, id, by),
  }
}

async function prepare(options: BreakGlassOptions, value: Json, by: EnrolledKey): Promise<BreakGlass> {
  const fields = readObject({ path: 'plan', value }, ['note', 'keys', 'need', 'minutes', 'grant'])
  const people = await options.keys.list()
  const keys = readArray(fields.need('keys'), 2).map((field) => readSigner(field, people))
  if (new Set(keys).size !== keys.length) fail(fields.need('keys'), 'must be distinct keys')
  const need = readWhole(fields.need('need'), keys.length)
  if (need < 2) fail(fields.need('need'), 'must be at least 2: what one person may do alone needs no glass')
  const minutes = fields.has('minutes')
    ? readWhole(fields.need('minutes'), MAX_BREAK_GLASS_MINUTES)
    : MAX_BREAK_GLASS_MINUTES
  if (minutes < 1) fail(fields.need('minutes'), 'must be at least 1')
  const plan: BreakGlassPlan = {
    id: options.newId(),
    note: readText(fields.need('note')),
    keys,
    need,
    minutes,
    grant: readGrant(fields.need('grant'), people),
    preparedBy: by.jkt,
    preparedAt: options.clock.now(),
  }
  // Whatever is wrong with the grant is said now, and not when the house burns.
  toGrant(options, plan, people, plan.preparedAt)
  return write(options, { ...plan, round: 0, signatures: [] }, 'break-glass.prepare', by)
}

function readSigner(field: Field, people: readonly EnrolledKey[]): string {
  const given = readText(field)
  const named = people.filter(({ name, jkt }) => name === given || jkt === given)
  const found = named.find((key) => rolesOf(key).includes('approver'))
  return found?.jkt ?? fail(field, 'is not an approver, nor an operator with the role `approver`')
}

/** The actor is kept by key: an agent that is enrolled later under the name gets nothing. */
function readGrant(field: Field, people: readonly EnrolledKey[]): JsonObject {
  const fields = readObject(field, ['principal', 'actor', 'operations', 'budgets'])
  const given = readText(fields.need('actor'))
  const agent = people.find(({ role, name, jkt }) => role === 'agent' && (name === given || jkt === given))
  if (agent === undefined) return fail(fields.need('actor'), 'is not an enrolled agent')
  return { ...(isJsonObject(field.value) ? field.value : {}), actor: agent.jkt }
}

function toGrant(
  { newId }: BreakGlassOptions,
  { grant, minutes, preparedBy }: BreakGlassPlan,
  people: readonly EnrolledKey[],
  now: number,
): Grant {
  const resolveActor = (given: string): string | undefined =>
    people.find(({ role, jkt }) => role === 'agent' && jkt === given)?.jkt
  const issuedBy = { role: 'operator', jkt: preparedBy } as const
  const parsed = parseGrant({ ...grant, expires: `${minutes}m` }, { id: newId(), now, resolveActor, issuedBy })
  return { ...parsed, breakGlass: true }
}

async function write(
  options: BreakGlassOptions,
  breakGlass: BreakGlass,
  act: string,
  by: EnrolledKey,
): Promise<BreakGlass> {
  return perform(options, async (read) => {
    const key = breakGlassRecord(breakGlass.id)
    if ((await read<BreakGlass>(key)) !== undefined) throw new InputError('there is such a plan already')
    return toAct(breakGlass, act, by)
  })
}

function toAct(breakGlass: BreakGlass, act: string, by: EnrolledKey) {
  const writes = [{ key: breakGlassRecord(breakGlass.id), value: asJson(breakGlass) }]
  return { result: breakGlass, writes, act, by: by.jkt, subject: 'system', detail: asJson(breakGlass) }
}

async function sign(
  options: BreakGlassOptions,
  { id, at, signature, by }: Parameters<BreakGlasses['sign']>[0],
): Promise<BreakGlass> {
  return perform(options, async (read) => {
    const found = known(await read<BreakGlass>(breakGlassRecord(id)), id)
    assertSigner(found, by)
    const now = options.clock.now()
    if (isBroken(found, now)) throw new InputError(`break-glass \`${id}\` is open`)
    const made = { by: by.jkt, at, signature }
    if (!isSignatureFresh(at, now) || !isSigned(found, made, by, options.issuer))
      throw new RefusedError('identity.bad-proof', 'the signature is not of this key, for this plan, made now')
    const signatures = [...found.signatures.filter((each) => each.by !== by.jkt), made]
    return toAct({ ...found, signatures }, 'break-glass.sign', by)
  })
}

async function open(options: BreakGlassOptions, id: string, by: EnrolledKey): ReturnType<BreakGlasses['open']> {
  const people = await options.keys.list('agent')
  const made = await perform(options, async (read) => {
    const found = known(await read<BreakGlass>(breakGlassRecord(id)), id)
    const now = options.clock.now()
    assertSigner(found, by)
    if (isBroken(found, now)) throw new InputError(`break-glass \`${id}\` is open already`)
    await assertPrepared(options, read, found)
    await assertEnough(options, read, found, now)
    const grant = toGrant(options, found, people, now)
    const opened = { grant: grant.id, at: now, expires: grant.expires, by: by.jkt }
    const breakGlass: BreakGlass = { ...found, round: found.round + 1, signatures: [], opened }
    const said = toAct(breakGlass, 'break-glass.open', by)
    return {
      ...said,
      result: { breakGlass, grant },
      writes: [...said.writes, ...toGrantWrites(grant)],
      // With the signatures, so that the log shows who it was.
      detail: { ...asJson(breakGlass), signatures: found.signatures.map(asJson), granted: asJson(grant) },
    }
  })
  const until = new Date(made.grant.expires).toISOString()
  options.notice(
    `BREAK-GLASS ${id} is open until ${until}: grant ${made.grant.id}; end it with \`unbearer revoke grant\``,
  )
  return made
}

function assertSigner({ keys }: BreakGlassPlan, by: EnrolledKey): void {
  if (!keys.includes(by.jkt)) throw new RefusedError('identity.key-role', 'this key is not among those of the plan')
}

/** What a revoked operator prepared is void, as everything that they signed. */
async function assertPrepared(
  options: BreakGlassOptions,
  read: ReadOne,
  { preparedBy }: BreakGlassPlan,
): Promise<void> {
  const key = await read<EnrolledKey>(keyRecord(preparedBy))
  if (key?.role === 'operator' && options.feed.find('actor', preparedBy) === undefined) return
  throw new RefusedError('identity.revoked', 'the operator who prepared this may not act any more')
}

async function assertEnough(
  { feed, issuer }: BreakGlassOptions,
  read: ReadOne,
  found: BreakGlass,
  now: number,
): Promise<void> {
  const signers = new Set<string>()
  for (const made of found.signatures) {
    const key = await read<EnrolledKey>(keyRecord(made.by))
    const isStanding =
      key !== undefined && rolesOf(key).includes('approver') && feed.find('actor', made.by) === undefined
    const isNamed = found.keys.includes(made.by) && isSignatureFresh(made.at, now)
    if (isStanding && isNamed && isSigned(found, made, key, issuer)) signers.add(made.by)
  }
  if (signers.size >= found.need) return
  throw new RefusedError(
    'policy.approval-required',
    `${signers.size} of the ${found.need} signatures that are needed count now; a signature waits 15 minutes for the others`,
  )
}

function isSigned(
  found: BreakGlass,
  { by, at, signature }: BreakGlass['signatures'][number],
  key: EnrolledKey,
  issuer: string,
): boolean {
  if (key.jkt !== by) return false
  try {
    const message = toBreakGlassMessage(found, at, issuer)
    return verifyBytes(importKey({ ...key.jwk }), message, Buffer.from(signature, 'base64url'))
  } catch {
    return false
  }
}

function known(found: BreakGlass | undefined, id: string): BreakGlass {
  if (found === undefined) throw new InputError(`there is no break-glass plan \`${id}\``)
  return found
}
