/**
 * @module
 * The last admin stays. Whatever takes an admin away (a change of roles, a revocation) goes through here, so that two who
 * take each other away at the same time do not both succeed.
 */
import { RefusedError, UnavailableError } from '../core/errors.ts'
import { isAdmin } from '../core/operator-roles.ts'
import type { Keys } from './keys.ts'
import type { Revocations } from './revocations.ts'

export interface Admins {
  /**
   * Runs `act`, which takes `jkt` away from the admins, unless none would be left: then it throws `RefusedError`. When the
   * store cannot be read nobody knows who else there is, and the act runs: it may be the kill switch. `act` is entered without
   * any wait after the look.
   */
  removing<T>(jkt: string, act: () => Promise<T>): Promise<T>
}

/** Looks again when somebody was taken away while it looked; more than so often it is not worth it. */
const LOOKS = 8

/** Does not promise that the key of the admin who is left can still be found by anybody. */
export function createAdmins({
  keys,
  revocations,
}: {
  readonly keys: Keys
  readonly revocations: Revocations
}): Admins {
  const leaving = new Set<string>()
  let removals = 0
  const look = async (): Promise<readonly string[] | undefined> => {
    for (let tries = 0; tries < LOOKS; tries += 1) {
      const before = removals
      const operators = await keys.list('operator').catch(() => undefined)
      if (before !== removals) continue
      return operators?.filter(isAdmin).map((key) => key.jkt)
    }
    throw new UnavailableError('other admins keep being changed meanwhile, try again')
  }
  const stands = (jkt: string): boolean => !leaving.has(jkt) && revocations.find('actor', jkt) === undefined
  return {
    async removing(jkt, act) {
      // From this look at who stands to the beginning of `act` there is no wait: nobody is taken away in between.
      const admins = (await look())?.filter(stands)
      if (admins?.length === 1 && admins[0] === jkt) {
        throw new RefusedError('identity.key-role', 'this is the last admin, make somebody else an admin first')
      }
      leaving.add(jkt)
      try {
        return await act()
      } finally {
        leaving.delete(jkt)
        removals += 1
      }
    },
  }
}
