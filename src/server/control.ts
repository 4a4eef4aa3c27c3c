/**
 * @module
 * The control plane: one closed table of methods, each with the roles of keys that may call it at most and the exact
 * parameters that it takes. Within that bound the policies of operators decide each call. The caller was authenticated by the
 * listener, or holds the private key on this machine.
 */
import { controlActionOf, toTouched, type ControlAction, type ControlMethod } from '../core/control-actions.ts'
import {
  KEY_ROLES,
  OPERATOR_ROLES,
  REVOCATION_DIMENSIONS,
  type EnrolledKey,
  type KeyRole,
  type OperatorRole,
  type RevocationDimension,
} from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import { fail, readArray, readObject, readText, readWhole, type Field, type Fields } from '../core/grant-fields.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { rolesOf } from '../core/operator-roles.ts'
import { isJsonArray } from '../core/pointer.ts'
import type { Sweeper } from '../pdp/retention.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'
import type { OperatorPolicy, OperatorQuestion } from '../ports/operator-policy.ts'
import { note, type ServiceOptions } from './acts.ts'
import { createAdmins, type Admins } from './admins.ts'
import { VERDICTS, type Approvals } from './approvals.ts'
import type { BreakGlasses } from './break-glass.ts'
import { showEntry } from './entries.ts'
import type { Erasure } from './erasure.ts'
import type { Grants } from './grants.ts'
import type { ServerManifest } from '../core/manifest.ts'
import type { JudgeOptions } from '../pdp/replay.ts'
import { CASE_LABELS, EXPECTABLE } from '../core/case.ts'
import { createCases } from './cases.ts'
import { makeReport } from './report.ts'
import { explain } from './explain/explain.ts'
import type { IssuerKeyring } from './issuer-keys.ts'
import { findUnknownTools, toGrantStates } from './grant-state.ts'
import type { Keys } from './keys.ts'
import type { ModeActs } from './modes.ts'
import { toRevocationId } from './revocation-ids.ts'
import { isKnownHere } from './revocation-known.ts'
import type { Revocations, Revoked } from './revocations.ts'
import type { Restores } from './suspensions.ts'
import type { TaskOpening, Tasks } from './tasks.ts'
import type { Delegations } from './trust/delegations.ts'

export interface Services {
  readonly keys: Keys
  readonly grants: Grants
  readonly delegations: Delegations
  readonly tasks: Tasks
  readonly approvals: Approvals
  readonly revocations: Revocations
  readonly modes: ModeActs
  readonly erasure: Erasure
  readonly sweeper: Sweeper
  readonly restores: Restores
  readonly breakGlasses: BreakGlasses
}

/** What the canary found: the PEPs that were asked, and those that did not refuse it in time. */
export interface CanaryResult {
  readonly peps: readonly string[]
  readonly silent: readonly string[]
}

/** A manifest that was put in force. */
export interface AcceptedManifest {
  readonly server: string
  readonly digest: string
}

export interface ControlOptions extends ServiceOptions {
  readonly store: SealedStore
  readonly services: Services
  readonly issuerKeys: Pick<IssuerKeyring, 'list' | 'rotate'>
  /** The policies of operators that are in force. */
  readonly policy: () => OperatorPolicy
  /** Reads manifests and policies again. Rejects when they cannot be used; what was in force stays in force. */
  readonly reload: () => Promise<void>
  /** The manifests in force. Without it the methods about them are refused. */
  readonly manifests?: {
    /** Puts the text of a manifest in force that `by` has signed, once `record` has settled. */
    readonly accept: (
      text: string,
      by: EnrolledKey,
      record: (accepted: AcceptedManifest) => Promise<void>,
    ) => Promise<AcceptedManifest>
    /** Its text; undefined when there is none. */
    readonly show: (server: string) => string | undefined
  }
  /** Asks every connected PEP to refuse something harmless under the new revocation. */
  readonly canary: (dimension: RevocationDimension, id: string, waitMs: number) => Promise<CanaryResult>
  /** What a recorded decision is decided again with. */
  readonly whatIf: () => Promise<JudgeOptions>
  /** The manifest of an upstream, accepted or not. */
  readonly manifest: (upstream: string) => ServerManifest | undefined
  /** What only the composition knows: modes, listener, deployment. */
  readonly status?: () => JsonObject | Promise<JsonObject>
}

export interface Control {
  /**
   * Calls a method as `by`. Throws `InputError` for an unknown method or parameters that do not fit, `RefusedError` when the
   * role of `by` may not call it, the policies of operators do not permit it, or its key is revoked. A method that shows
   * evidence is recorded before it does. Does not verify that the caller holds the key: the listener, or
   * whoever opened the store locally, did.
   */
  call(method: string, params: Json, by: EnrolledKey): Promise<Json>
}

interface Method {
  readonly action: ControlAction
  readonly roles: readonly KeyRole[]
  readonly run: (params: Json, by: EnrolledKey) => Promise<Json>
}

const OPERATOR: readonly KeyRole[] = ['operator']
const OPENERS: readonly KeyRole[] = ['operator', 'host', 'principal']
const READERS_OF_APPROVALS: readonly KeyRole[] = ['operator', 'approver']

export function createControl(options: ControlOptions): Control {
  const methods = toMethods({ ...options, admins: createAdmins(options.services) })
  return {
    async call(name, params, by) {
      const method = methods.get(name)
      if (method === undefined) throw new InputError(`there is no method \`${name}\``, 'system.unknown-method')
      if (!method.roles.includes(by.role)) {
        throw new RefusedError('identity.key-role', `\`${name}\` is not for keys of the role ${by.role}`)
      }
      if (options.services.revocations.find('actor', by.jkt) !== undefined) {
        throw new RefusedError('identity.revoked', 'this key is revoked')
      }
      const asked = isJsonObject(params) ? params : {}
      assertPermitted(options, name, method.action, asked, by)
      if (method.action.logged === 'reading') {
        await note(options, {
          act: name,
          by: by.jkt,
          subject: 'system',
          detail: { ...toTouched(method.action, asked) },
        })
      }
      return method.run(params, by)
    },
  }
}

/** Asks the policies of operators. Nothing is looked up before: policy sees what was asked. */
function assertPermitted(
  { policy, clock }: ControlOptions,
  method: string,
  action: ControlAction,
  params: JsonObject,
  key: EnrolledKey,
): void {
  const verdict = policy().decide({ key, method, resource: toResource(action, params, key), time: clock.now() })
  if (verdict === 'permit') return
  if (verdict === 'error') throw new RefusedError('policy.error', 'the policies of operators could not be evaluated')
  const roles = rolesOf(key).join(', ')
  throw new RefusedError('identity.key-role', `the roles of this key (${roles}) may not call \`${method}\``)
}

function toResource(action: ControlAction, params: JsonObject, key: EnrolledKey): OperatorQuestion['resource'] {
  const { role, roles } = params
  const touched = toTouched(action, params)
  return {
    ...touched,
    own: touched.type === key.role && touched.id === key.name,
    ...(typeof role === 'string' ? { role } : {}),
    roles: isJsonArray(roles) ? roles.filter((each) => typeof each === 'string') : [],
  }
}

type Inside = ControlOptions & { readonly admins: Admins }

function toMethods(options: Inside): ReadonlyMap<string, Method> {
  return new Map<string, Method>([
    ...keyMethods(options),
    ...grantMethods(options),
    ...approvalMethods(options),
    ...revocationMethods(options),
    ...modeMethods(options),
    ...evidenceMethods(options),
    ...manifestMethods(options),
    ...logMethods(options),
    ...breakGlassMethods(options),
    ...ownMethods(options),
    ...caseMethods(options),
  ])
}

type Row = readonly [ControlMethod, Method]

/** A row of the table. Any parameter that is not among `known` is an error, before anything else happens. */
function row(
  name: ControlMethod,
  roles: readonly KeyRole[],
  known: readonly string[],
  run: (params: Fields, by: EnrolledKey) => Promise<Json>,
): Row {
  return [
    name,
    {
      action: controlActionOf(name),
      roles,
      run: async (params, by) => run(readObject({ path: name, value: params }, known), by),
    },
  ]
}

function keyMethods({ services, admins, reload, issuerKeys }: Inside): readonly Row[] {
  const { keys } = services
  return [
    row('key.enrol', OPERATOR, ['role', 'name', 'jwk', 'roles', 'principal'], async (params, by) => {
      const role = readOneOf(params.need('role'), KEY_ROLES)
      const name = readText(params.need('name'))
      const roles = params.has('roles') ? { roles: readRoles(params.need('roles')) } : {}
      const whose = params.has('principal') ? { principal: toPrincipal(readPrincipal(params.need('principal'))) } : {}
      return asJson(await keys.enrol({ role, name, jwk: params.need('jwk').value, ...roles, ...whose, by: by.jkt }))
    }),
    row('key.roles', OPERATOR, ['name', 'roles'], async (params, by) => {
      const name = readText(params.need('name'))
      const roles = readRoles(params.need('roles'))
      const change = async (): Promise<EnrolledKey> => keys.setRoles({ name, roles, by: by.jkt })
      const key = await keys.findByName('operator', name)
      const changed =
        key === undefined || roles.includes('admin') ? await change() : await admins.removing(key.jkt, change)
      // Who may accept tools may have changed with it.
      await reload()
      return asJson(changed)
    }),
    row('key.rotate', OPERATOR, [], async (_params, by) => asJson(await issuerKeys.rotate(by))),
    row('key.issuer', OPERATOR, [], async () => issuerKeys.list().map(asJson)),
    row('key.list', OPERATOR, ['role'], async (params) => {
      const role = params.has('role') ? readOneOf(params.need('role'), KEY_ROLES) : undefined
      return (await keys.list(role)).map(asJson)
    }),
  ]
}

function grantMethods({ services, clock, manifest }: Inside): readonly Row[] {
  const { delegations, grants, revocations, tasks } = services
  return [
    row('grant.create', OPERATOR, ['grant'], async (params, by) => {
      const grant = await grants.create(params.need('grant').value, by)
      const unknown = findUnknownTools(grant, manifest)
      return { ...asJson(grant), ...(unknown.length === 0 ? {} : { unknown }) }
    }),
    row('grant.open', ['host'], ['grant', 'subject_token', 'subject_token_type', 'salt'], async (params, by) => {
      const opening = {
        grant: params.need('grant').value,
        subjectToken: readText(params.need('subject_token')),
        subjectTokenType: readText(params.need('subject_token_type')),
        ...(params.has('salt') ? { salt: readText(params.need('salt')) } : {}),
      }
      return asJson(await delegations.open(opening, by))
    }),
    row('grant.take', OPENERS, ['signed'], async (params, by) =>
      asJson(await delegations.take(readText(params.need('signed')), by)),
    ),
    row('grant.list', OPERATOR, [], async () => {
      const all = await grants.list()
      const states = toGrantStates({ grants: all, feed: revocations, now: clock.now() })
      return all.map((grant, at) => ({ ...asJson(grant), state: states[at] ?? 'cut' }))
    }),
    row('grant.show', OPERATOR, ['id'], async (params) => asJson(await grants.show(readText(params.need('id'))))),
    row('task.open', OPENERS, ['purpose', 'principal', 'actor', 'grant'], async (params, by) =>
      asJson(await tasks.open({ ...readOpening(params), openedBy: by })),
    ),
  ]
}

function approvalMethods({ services: { approvals } }: Inside): readonly Row[] {
  return [
    row('approval.list', READERS_OF_APPROVALS, ['all'], async (params) => {
      const all = params.has('all') && readOneOf(params.need('all'), [true, false])
      return (await approvals.list({ all })).map(asJson)
    }),
    row('approval.show', READERS_OF_APPROVALS, ['id'], async (params) =>
      asJson(await approvals.show(readText(params.need('id')))),
    ),
    row('approval.answer', READERS_OF_APPROVALS, ['id', 'verdict', 'signature'], async (params, by) => {
      const id = readText(params.need('id'))
      const verdict = readOneOf(params.need('verdict'), VERDICTS)
      return asJson(await approvals.answer({ id, verdict, signature: readText(params.need('signature')), by }))
    }),
  ]
}

function revocationMethods({ services, canary, admins, store, manifest }: Inside): readonly Row[] {
  const { revocations } = services
  return [
    row('revoke', OPERATOR, ['dimension', 'id', 'wait'], async (params, by) => {
      const dimension = readOneOf(params.need('dimension'), REVOCATION_DIMENSIONS)
      const given = params.has('id') ? readText(params.need('id')) : undefined
      const id = await toRevocationId(services, dimension, given)
      const revoke = async (): Promise<Revoked> => revocations.revoke(dimension, id, by)
      const { revocation, recorded } = dimension === 'actor' ? await admins.removing(id, revoke) : await revoke()
      // Every decision asks for the key as well: where the grants cannot be read now, they are dead all the same.
      if (dimension === 'actor') await revokeMadeBy(services, id, by).catch(() => undefined)
      // The kill switch is in force by now; the canary only says who has noticed.
      const waitMs = params.has('wait') ? readWhole(params.need('wait'), MOST_WAIT_MS) : WAIT_MS
      const { peps, silent } = await canary(dimension, id, waitMs)
      const known = await isKnownHere({ store, grants: services.grants, manifest }, dimension, id)
      return { ...asJson(revocation), recorded, peps, silent, ...(known === undefined ? {} : { known }) }
    }),
    row('resume', OPERATOR, [], async (_params, by) => asJson(await revocations.resume(by))),
    row('revocation.list', OPERATOR, [], async () => revocations.list().map(asJson)),
  ]
}

/** How long a PEP has to refuse a canary, and at most, in milliseconds: a connection that was cut is noticed by then. */
const WAIT_MS = 6_000
const MOST_WAIT_MS = 60_000

/** What this key vouched for or signed ends with it, also for those who only know grants. */
async function revokeMadeBy({ delegations, revocations }: Services, jkt: string, by: EnrolledKey): Promise<void> {
  for (const { id } of await delegations.madeBy(jkt)) await revocations.revoke('grant', id, by)
}

function modeMethods({ services: { modes, restores } }: Inside): readonly Row[] {
  return [
    row('mode.observe', OPERATOR, ['act'], async (params, by) =>
      asJson(await modes.observe(params.need('act').value, by)),
    ),
    row('mode.enforce', OPERATOR, ['act'], async (params, by) =>
      asJson(await modes.enforce(params.need('act').value, by)),
    ),
    row('agent.restore', OPERATOR, ['name'], async (params, by) =>
      asJson(await restores.restore(readText(params.need('name')), by)),
    ),
    row('mode.list', OPERATOR, [], async () => asJson(await modes.list())),
  ]
}

function evidenceMethods(options: Inside): readonly Row[] {
  const { services, store } = options
  const { erasure, sweeper } = services
  return [
    row('subject.erase', OPERATOR, ['subject'], async (params, by) => {
      const given = readText(params.need('subject'))
      const erased = await erasure.erase(given.includes('/') ? given : `user/${given}`, by.jkt)
      const found = erased.keyDestroyed || Object.values(erased.removed).some((count) => count > 0)
      return { found, ...asJson(erased) }
    }),
    row('evidence.sweep', OPERATOR, [], async (_params, by) => ({ ...(await sweeper.sweep(by.jkt)) })),
    row('entry.why', OPERATOR, ['id'], async (params) => explain(store, readText(params.need('id')), options.whatIf)),
    row('entry.show', OPERATOR, ['id'], async (params) => showEntry(store, readText(params.need('id')))),
  ]
}

function breakGlassMethods({ services: { breakGlasses } }: Inside): readonly Row[] {
  return [
    row('break-glass.prepare', OPERATOR, ['plan'], async (params, by) =>
      asJson(await breakGlasses.prepare(params.need('plan').value, by)),
    ),
    row('break-glass.list', READERS_OF_APPROVALS, [], async () => (await breakGlasses.list()).map(asJson)),
    row('break-glass.show', READERS_OF_APPROVALS, ['id'], async (params) =>
      asJson(await breakGlasses.show(readText(params.need('id')))),
    ),
    row('break-glass.sign', READERS_OF_APPROVALS, ['id', 'at', 'signature'], async (params, by) => {
      const at = params.need('at')
      const time =
        typeof at.value === 'number' && Number.isSafeInteger(at.value) ? at.value : fail(at, 'must be a time')
      const [id, signature] = [readText(params.need('id')), readText(params.need('signature'))]
      return asJson(await breakGlasses.sign({ id, at: time, signature, by }))
    }),
    row('break-glass.open', READERS_OF_APPROVALS, ['id'], async (params, by) =>
      asJson(await breakGlasses.open(readText(params.need('id')), by)),
    ),
  ]
}

function manifestMethods(options: Inside): readonly Row[] {
  const { manifests } = options
  const need = (): NonNullable<ControlOptions['manifests']> => {
    if (manifests === undefined) throw new InputError('there are no manifests here')
    return manifests
  }
  return [
    row('manifest.accept', OPERATOR, ['text'], async (params, by) => {
      const record = async (accepted: AcceptedManifest): Promise<void> =>
        note(options, { act: 'manifest.accept', by: by.jkt, subject: 'system', detail: { ...accepted } })
      return { ...(await need().accept(readLines(params.need('text')), by, record)) }
    }),
    row('manifest.show', OPERATOR, ['server'], async (params) => {
      const server = readText(params.need('server'))
      const text = need().show(server)
      if (text === undefined) throw new InputError(`there is no manifest of \`${server}\``)
      return Promise.resolve({ server, text })
    }),
    row('manifest.reload', OPERATOR, [], async (_params, by) => {
      await options.reload()
      await note(options, { act: 'manifest.reload', by: by.jkt, subject: 'system', detail: {} })
      return { reloaded: true }
    }),
  ]
}

/** Entries are commitments and nothing else: no evidence, so that looking at them is not recorded. */
function logMethods({ store: { log } }: Inside): readonly Row[] {
  return [
    row('log.head', OPERATOR, [], async () => ({
      entries: await log.size(),
      checkpoint: (await log.checkpoint()) ?? null,
    })),
    row('log.entries', OPERATOR, ['from', 'to'], async (params) => {
      const from = readWhole(params.need('from'), Number.MAX_SAFE_INTEGER)
      const to = readWhole(params.need('to'), Number.MAX_SAFE_INTEGER)
      const entries = await log.entries(from, Math.min(to, from + MOST_ENTRIES))
      return { from, entries: entries.map((bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
    }),
  ]
}

/** The most entries in one answer; whoever wants more asks again. */
const MOST_ENTRIES = 256

/** A text that may have several lines. */
function readLines(field: Field): string {
  return typeof field.value === 'string' ? field.value : fail(field, 'must be a text')
}

function ownMethods(options: Inside): readonly Row[] {
  const { services, store } = options
  return [
    row('status', OPERATOR, [], async () => ({
      ...(await options.status?.()),
      rev: services.revocations.rev(),
      fresh: services.revocations.fresh(),
      unrecordedRevocations: services.revocations.unrecorded(),
      pendingApprovals: (await services.approvals.list()).length,
      entries: await store.log.size(),
      checkpoint: (await store.log.checkpoint()) ?? null,
    })),
  ]
}

function caseMethods(options: Inside): readonly Row[] {
  const cases = createCases(options)
  return [
    row('case.record', OPERATOR, ['entry', 'label', 'expected', 'note', 'signature'], async (params, by) => {
      const claim = {
        entry: readText(params.need('entry')),
        label: readOneOf(params.need('label'), CASE_LABELS),
        expected: readOneOf(params.need('expected'), EXPECTABLE),
        note: readText(params.need('note')),
      }
      return asJson(await cases.record(claim, readText(params.need('signature')), by))
    }),
    row('case.list', OPERATOR, [], async () => (await cases.list()).map(asJson)),
    row('report', OPERATOR, ['since'], async (params) => {
      const now = options.clock.now()
      return makeReport(options.store, { since: readWhole(params.need('since'), Number.MAX_SAFE_INTEGER), now })
    }),
    row('case.show', OPERATOR, ['entry'], async (params) => cases.show(readText(params.need('entry')))),
  ]
}

function readOpening(params: Fields): Omit<TaskOpening, 'openedBy'> {
  return {
    purpose: readLines(params.need('purpose')),
    principal: readPrincipal(params.need('principal')),
    actor: readText(params.need('actor')),
    ...(params.has('grant') ? { grant: readText(params.need('grant')) } : {}),
  }
}

function readRoles(field: Field): readonly OperatorRole[] {
  return readArray(field, 1).map((each) => readOneOf(each, OPERATOR_ROLES))
}

/** A bare id is a user; `type/id` is what operators type elsewhere. */
function toPrincipal(given: TaskOpening['principal']): Grant['principal'] {
  if (typeof given !== 'string') return { type: given.type, id: given.id }
  const slash = given.indexOf('/')
  return slash < 1 ? { type: 'user', id: given } : { type: given.slice(0, slash), id: given.slice(slash + 1) }
}

function readPrincipal(field: Field): TaskOpening['principal'] {
  if (!isJsonObject(field.value)) return readText(field)
  const fields = readObject(field, ['type', 'id'])
  return { type: readText(fields.need('type')), id: readText(fields.need('id')) }
}

function readOneOf<T extends Json>(field: Field, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === field.value)
  return found ?? fail(field, `must be one of ${choices.map(String).join(', ')}`)
}
