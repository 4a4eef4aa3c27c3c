/**
 * @module
 * The control plane: one closed table of methods, each with the roles that may call it and the exact parameters that it
 * takes. The caller was authenticated by the listener, or holds the private key on this machine.
 */
import { z } from 'zod'

import type { EnrolledKey, KeyRole, RevocationDimension } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { note, type ServiceOptions } from './acts.ts'
import type { Approvals } from './approvals.ts'
import { showEntry } from './entries.ts'
import type { Grants } from './grants.ts'
import type { Keys } from './keys.ts'
import { toRevocationId } from './revocation-ids.ts'
import type { Revocations } from './revocations.ts'
import type { Tasks } from './tasks.ts'

export interface Services {
  readonly keys: Keys
  readonly grants: Grants
  readonly tasks: Tasks
  readonly approvals: Approvals
  readonly revocations: Revocations
}

/** What the canary found: the PEPs that were asked, and those that did not refuse it in time. */
export interface CanaryResult {
  readonly peps: readonly string[]
  readonly silent: readonly string[]
}

export interface ControlOptions extends ServiceOptions {
  readonly services: Services
  /** Reads manifests and policies again. Rejects when they cannot be used; what was in force stays in force. */
  readonly reload: () => Promise<void>
  /** Asks every connected PEP to refuse something harmless under the new revocation. */
  readonly canary: (dimension: RevocationDimension, id: string) => Promise<CanaryResult>
  /** What only the composition knows: modes, listener, deployment. */
  readonly status?: () => JsonObject | Promise<JsonObject>
}

export interface Control {
  /**
   * Calls a method as `by`. Throws `InputError` for an unknown method or parameters that do not fit, `RefusedError` when the
   * role of `by` may not call it or its key is revoked. Does not verify that the caller holds the key: the listener, or
   * whoever opened the store locally, did.
   */
  call(method: string, params: Json, by: EnrolledKey): Promise<Json>
}

interface Method {
  readonly roles: readonly KeyRole[]
  readonly run: (params: Json, by: EnrolledKey) => Promise<Json>
}

const OPERATOR: readonly KeyRole[] = ['operator']
const OPENERS: readonly KeyRole[] = ['operator', 'host']
const READERS_OF_APPROVALS: readonly KeyRole[] = ['operator', 'approver']
const APPROVER: readonly KeyRole[] = ['approver']

const id = z.string().min(1).max(1024)
const nothing = z.strictObject({})
const role = z.enum(['agent', 'host', 'pep', 'operator', 'approver'])
const dimension = z.enum(['credential', 'actor', 'subject', 'grant', 'task', 'tool', 'all'])
/** A document that has a parser of its own. */
const document = z.record(z.string(), z.unknown())
const principal = z.union([id, z.strictObject({ type: id, id })])

export function createControl(options: ControlOptions): Control {
  const methods = toMethods(options)
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
      return method.run(params, by)
    },
  }
}

function toMethods(options: ControlOptions): ReadonlyMap<string, Method> {
  return new Map([
    ...keyMethods(options),
    ...approvalMethods(options),
    ...revocationMethods(options),
    ...ownMethods(options),
  ])
}

type Row = readonly [string, Method]

/** A row of the table: parameters are parsed before anything else happens. */
function row<T>(
  name: string,
  roles: readonly KeyRole[],
  schema: z.ZodType<T>,
  run: (params: T, by: EnrolledKey, raw: JsonObject) => Promise<Json>,
): Row {
  return [
    name,
    {
      roles,
      async run(params, by) {
        const parsed = schema.safeParse(params)
        if (parsed.success) return run(parsed.data, by, isJsonObject(params) ? params : {})
        const [issue] = parsed.error.issues
        const where =
          issue === undefined || issue.path.length === 0 ? 'parameters' : `\`${issue.path.map(String).join('.')}\``
        throw new InputError(`\`${name}\`: ${where}: ${issue?.message.toLowerCase() ?? 'not understood'}`)
      },
    },
  ]
}

function keyMethods({ services: { keys, grants, tasks } }: ControlOptions): readonly Row[] {
  const enrolment = z.strictObject({ role, name: id, jwk: document })
  const opening = z.strictObject({ purpose: z.string(), principal, actor: id, grant: id.optional() })
  return [
    row('key.enrol', OPERATOR, enrolment, async (params, by, raw) =>
      asJson(await keys.enrol({ role: params.role, name: params.name, jwk: raw['jwk'] ?? null, by: by.jkt })),
    ),
    row('key.list', OPERATOR, z.strictObject({ role: role.optional() }), async (params) =>
      (await keys.list(params.role)).map(asJson),
    ),
    row('grant.create', OPERATOR, z.strictObject({ grant: document }), async (_params, by, raw) =>
      asJson(await grants.create(raw['grant'] ?? null, by)),
    ),
    row('grant.list', OPERATOR, nothing, async () => (await grants.list()).map(asJson)),
    row('grant.show', OPERATOR, z.strictObject({ id }), async (params) => asJson(await grants.show(params.id))),
    row('task.open', OPENERS, opening, async ({ grant, ...params }, by) =>
      asJson(await tasks.open({ ...params, ...(grant === undefined ? {} : { grant }), openedBy: by })),
    ),
  ]
}

function approvalMethods({ services: { approvals } }: ControlOptions): readonly Row[] {
  const verdict = z.enum(['approved', 'denied'])
  return [
    row('approval.list', READERS_OF_APPROVALS, z.strictObject({ all: z.boolean().optional() }), async (params) =>
      (await approvals.list({ all: params.all ?? false })).map(asJson),
    ),
    row('approval.show', READERS_OF_APPROVALS, z.strictObject({ id }), async (params) =>
      asJson(await approvals.show(params.id)),
    ),
    row('approval.answer', APPROVER, z.strictObject({ id, verdict, signature: id }), async (params, by) =>
      asJson(await approvals.answer({ ...params, by })),
    ),
  ]
}

function revocationMethods({ services, canary }: ControlOptions): readonly Row[] {
  const { revocations } = services
  return [
    row('revoke', OPERATOR, z.strictObject({ dimension, id: id.optional() }), async (params, by) => {
      const target = await toRevocationId(services, params.dimension, params.id)
      const { revocation, recorded } = await revocations.revoke(params.dimension, target, by)
      // The kill switch is in force by now; the canary only says who has noticed.
      const { peps, silent } = await canary(params.dimension, target)
      return { ...asJson(revocation), recorded, peps, silent }
    }),
    row('revocation.list', OPERATOR, nothing, async () => revocations.list().map(asJson)),
  ]
}

function ownMethods(options: ControlOptions): readonly Row[] {
  const { services, store } = options
  return [
    row('manifest.reload', OPERATOR, nothing, async (_params, by) => {
      await options.reload()
      await note(options, { act: 'manifest.reload', by: by.jkt, subject: 'system', detail: {} })
      return { reloaded: true }
    }),
    row('status', OPERATOR, nothing, async () => ({
      ...(await options.status?.()),
      rev: services.revocations.rev(),
      fresh: services.revocations.fresh(),
      unrecordedRevocations: services.revocations.unrecorded(),
      pendingApprovals: (await services.approvals.list()).length,
      entries: await store.log.size(),
      checkpoint: (await store.log.checkpoint()) ?? null,
    })),
    row('entry.show', OPERATOR, z.strictObject({ id }), async (params) => showEntry(store, params.id)),
  ]
}
