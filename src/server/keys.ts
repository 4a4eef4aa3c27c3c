/**
 * @module
 * Enrolled keys: who may speak at all, and as what. One thumbprint has one role for ever; a name is unique within its role.
 * Agent keys never enrol keys (design §4).
 */
import { KEY_ROLES, OPERATOR_ROLES, type EnrolledKey, type KeyRole, type OperatorRole } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json } from '../core/json.ts'
import { isAdmin, rolesOf } from '../core/operator-roles.ts'
import { keyNameRecord, keyRecord } from '../core/records.ts'
import { importKey } from '../crypto/keys.ts'
import { listAll, perform, readOne, type Act, type ReadOne, type ServiceOptions } from './acts.ts'

interface Enrolment {
  readonly role: KeyRole
  readonly name: string
  /** Of an operator, and of nobody else: at least one. The first operator, enrolled by the system, is an admin. */
  readonly roles?: readonly OperatorRole[]
  /** Of a principal's key: whose it is; without it the user of that name. */
  readonly principal?: { readonly type: string; readonly id: string }
  /** A public or private JWK; only the public members are looked at and stored. */
  readonly jwk: Json
  /** Thumbprint of an enrolled operator key, or `system` (at `init`). */
  readonly by: string
}

export interface Keys {
  /**
   * Enrols a key. The same key under the same role and name again is answered as it stands. Throws `InputError` when the
   * key or the name is taken, `RefusedError` when `by` is not an operator, or no admin where authority over others is given.
   * Does not prove that anybody holds the private key: every use of it does.
   */
  enrol(enrolment: Enrolment): Promise<EnrolledKey>
  /**
   * Replaces the roles of an operator. Throws `InputError` when there is none of that name, `RefusedError` when `by` is no
   * admin or is the operator itself. Does not look whether an admin is left: `createAdmins` does.
   */
  setRoles(change: {
    readonly name: string
    readonly roles: readonly OperatorRole[]
    readonly by: string
  }): Promise<EnrolledKey>
  find(jkt: string): Promise<EnrolledKey | undefined>
  findByName(role: KeyRole, name: string): Promise<EnrolledKey | undefined>
  /** Sorted by role, then name. */
  list(role?: KeyRole): Promise<readonly EnrolledKey[]>
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const KEYS_PREFIX = 'key/'

export function createKeys(options: ServiceOptions): Keys {
  const { store, clock } = options
  const keys: Keys = {
    enrol: async (enrolment) =>
      perform(options, async (read) => {
        await assertMayEnrol(read, enrolment)
        const key = toEnrolled(enrolment, clock.now())
        const existing = await findExisting(read, key)
        return {
          result: existing ?? key,
          writes:
            existing === undefined
              ? [
                  { key: keyRecord(key.jkt), value: asJson(key) },
                  { key: keyNameRecord(key.role, key.name), value: key.jkt },
                ]
              : [],
          act: 'key.enrol',
          by: key.by,
          subject: `${key.role}/${key.name}`,
          detail: asJson(key),
        }
      }),
    setRoles: async (change) => perform(options, async (read) => toRolesAct(read, change)),
    find: async (jkt) => readOne<EnrolledKey>(store, keyRecord(jkt)),
    async findByName(role, name) {
      const jkt = await readOne<string>(store, keyNameRecord(role, name))
      return jkt === undefined ? undefined : keys.find(jkt)
    },
    async list(role) {
      const all = await listAll<EnrolledKey>(store, KEYS_PREFIX)
      return all.filter((key) => role === undefined || key.role === role).toSorted(byRoleAndName)
    },
  }
  return keys
}

/** Roles that decide about others: whoever could hand them out could have them. */
const OVER_OTHERS: readonly KeyRole[] = ['operator', 'approver', 'principal']

/** Read with the act, so that an operator who is no admin any more when it is written has not enrolled anybody. */
async function assertMayEnrol(read: ReadOne, { role, by }: Enrolment): Promise<void> {
  if (by === 'system') return
  const enroller = await read<EnrolledKey>(keyRecord(by))
  if (enroller?.role !== 'operator') throw new RefusedError('identity.key-role', 'only an operator key enrols keys')
  if (OVER_OTHERS.includes(role) && !isAdmin(enroller))
    throw new RefusedError('identity.key-role', `only an admin enrols ${role}s`)
}

async function toRolesAct(
  read: ReadOne,
  { name, roles, by }: Parameters<Keys['setRoles']>[0],
): Promise<Act<EnrolledKey>> {
  const asking = await read<EnrolledKey>(keyRecord(by))
  if (asking === undefined || !isAdmin(asking))
    throw new RefusedError('identity.key-role', 'only an admin changes the roles of operators')
  const jkt = await read<string>(keyNameRecord('operator', name))
  const key = jkt === undefined ? undefined : await read<EnrolledKey>(keyRecord(jkt))
  if (key === undefined) throw new InputError(`there is no operator \`${name}\``)
  if (key.jkt === by) throw new RefusedError('identity.key-role', 'nobody changes their own roles, ask another admin')
  const before = rolesOf(key)
  const changed: EnrolledKey = { ...key, roles: toRoles(roles) }
  return {
    result: changed,
    writes: [{ key: keyRecord(key.jkt), value: asJson(changed) }],
    act: 'key.roles',
    by,
    subject: `operator/${name}`,
    detail: { jkt: key.jkt, name, roles: toRoles(roles), before },
  }
}

/** In one order and without repetition, so that the same roles are always written alike. */
function toRoles(roles: readonly OperatorRole[]): readonly OperatorRole[] {
  if (roles.length === 0) throw new InputError(`an operator needs a role: ${OPERATOR_ROLES.join(', ')}`)
  return OPERATOR_ROLES.filter((role) => roles.includes(role))
}

function toEnrolled({ role, name, jwk, roles, principal, by }: Enrolment, now: number): EnrolledKey {
  if (!KEY_ROLES.includes(role)) throw new InputError(`\`${role}\` is not a role of a key`)
  if (!NAME.test(name)) {
    throw new InputError(`\`${name}\` is not a name: letters, digits, \`.\`, \`_\` and \`-\`, at most 64`)
  }
  if (!isJsonObject(jwk)) throw new InputError('a key must be a JWK, an object')
  if (role !== 'operator' && roles !== undefined) throw new InputError(`only operators have roles, not ${role}s`)
  const key = importKey(jwk)
  const given = role === 'operator' ? { roles: toRoles(roles ?? (by === 'system' ? ['admin'] : [])) } : {}
  if (role !== 'principal' && principal !== undefined) throw new InputError(`only keys of principals name one`)
  const whose = role === 'principal' ? { principal: principal ?? { type: 'user', id: name } } : {}
  return { jkt: key.jkt, name, role, ...given, ...whose, jwk: { ...key.jwk }, enrolledAt: now, by }
}

async function findExisting(read: ReadOne, key: EnrolledKey): Promise<EnrolledKey | undefined> {
  const sameKey = await read<EnrolledKey>(keyRecord(key.jkt))
  const nameOf = await read<string>(keyNameRecord(key.role, key.name))
  if (sameKey !== undefined && sameKey.role === key.role && sameKey.name === key.name) {
    if (toWhose(sameKey) !== toWhose(key)) throw new InputError(`\`${key.name}\` is enrolled for another principal`)
    if (String(rolesOf(sameKey)) === String(rolesOf(key))) return sameKey
    throw new InputError(`\`${key.name}\` is enrolled with other roles, change them with \`operators roles\``)
  }
  if (sameKey !== undefined) {
    throw new InputError(
      `this key is enrolled as ${sameKey.role} \`${sameKey.name}\` already; a key has one role and name`,
    )
  }
  if (nameOf !== undefined) {
    throw new InputError(
      `there is another ${key.role} key called \`${key.name}\`; choose another name, or revoke that key`,
    )
  }
  return undefined
}

function toWhose({ principal }: EnrolledKey): string {
  return principal === undefined ? '' : JSON.stringify([principal.type, principal.id])
}

function byRoleAndName(a: EnrolledKey, b: EnrolledKey): number {
  const byRole = KEY_ROLES.indexOf(a.role) - KEY_ROLES.indexOf(b.role)
  if (byRole !== 0) return byRole
  return a.name < b.name ? -1 : 1
}
