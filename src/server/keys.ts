/**
 * @module
 * Enrolled keys: who may speak at all, and as what. One thumbprint has one role for ever; a name is unique within its role.
 * Agent keys never enrol keys (design §4).
 */
import { KEY_ROLES, type EnrolledKey, type KeyRole } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json } from '../core/json.ts'
import { keyNameRecord, keyRecord } from '../core/records.ts'
import { importKey } from '../crypto/keys.ts'
import { listAll, perform, readOne, type ReadOne, type ServiceOptions } from './acts.ts'

interface Enrolment {
  readonly role: KeyRole
  readonly name: string
  /** A public or private JWK; only the public members are looked at and stored. */
  readonly jwk: Json
  /** Thumbprint of an enrolled operator key, or `system` (at `init`). */
  readonly by: string
}

export interface Keys {
  /**
   * Enrols a key. The same key under the same role and name again is answered as it stands. Throws `InputError` when the
   * key or the name is taken, `RefusedError` when `by` is not an operator. Does not prove that anybody holds the private
   * key: every use of it does.
   */
  enrol(enrolment: Enrolment): Promise<EnrolledKey>
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
        await assertMayEnrol(read, enrolment.by)
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

async function assertMayEnrol(read: ReadOne, by: string): Promise<void> {
  if (by === 'system') return
  const enroller = await read<EnrolledKey>(keyRecord(by))
  if (enroller?.role === 'operator') return
  throw new RefusedError('identity.key-role', 'only an operator key enrols keys')
}

function toEnrolled({ role, name, jwk, by }: Enrolment, now: number): EnrolledKey {
  if (!KEY_ROLES.includes(role)) throw new InputError(`\`${role}\` is not a role of a key`)
  if (!NAME.test(name)) {
    throw new InputError(`\`${name}\` is not a name: letters, digits, \`.\`, \`_\` and \`-\`, at most 64`)
  }
  if (!isJsonObject(jwk)) throw new InputError('a key must be a JWK, an object')
  const key = importKey(jwk)
  return { jkt: key.jkt, name, role, jwk: { ...key.jwk }, enrolledAt: now, by }
}

async function findExisting(read: ReadOne, key: EnrolledKey): Promise<EnrolledKey | undefined> {
  const sameKey = await read<EnrolledKey>(keyRecord(key.jkt))
  const nameOf = await read<string>(keyNameRecord(key.role, key.name))
  if (sameKey !== undefined && sameKey.role === key.role && sameKey.name === key.name) return sameKey
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

function byRoleAndName(a: EnrolledKey, b: EnrolledKey): number {
  const byRole = KEY_ROLES.indexOf(a.role) - KEY_ROLES.indexOf(b.role)
  if (byRole !== 0) return byRole
  return a.name < b.name ? -1 : 1
}
