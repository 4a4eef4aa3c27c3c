/**
 * @module
 * The issuer's keys over time. The one that signs is where the configuration says; of those before it the public part stays in
 * the store until the last credential that it signed has expired, so that a rotation refuses nobody.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { ConfigError } from '../core/errors.ts'
import { SESSION_TTL_SECONDS } from '../core/credential.ts'
import { asJson, type JsonObject } from '../core/json.ts'
import { ISSUER_KEYS_RECORD } from '../core/records.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import { generateKey, importPublicKey, type KeyPair, type PrivateJwk } from '../crypto/keys.ts'
import { perform, type ReadOne, type ServiceOptions } from './acts.ts'

/** A key as it is shown. */
export interface IssuerKey {
  readonly jkt: string
  readonly alg: string
  readonly jwk: Readonly<Record<string, string>>
  /** Milliseconds since the epoch: since when it signs here. */
  readonly since: number
  /** Until when it verifies; absent: it signs. */
  readonly until?: number
}

export interface IssuerKeyring extends IssuerKeys {
  /** Every key under which something may verify, the one that signs first. */
  list(): readonly IssuerKey[]
  /**
   * Makes a new key, keeps it where the configuration has it, and signs with it from then on. Throws `ConfigError` where the
   * key does not come from a file. Does not make anything void: to do that, revoke.
   */
  rotate(by: Pick<EnrolledKey, 'jkt'>): Promise<IssuerKey>
}

export interface IssuerKeyringOptions extends ServiceOptions {
  readonly key: KeyPair
  /** Imports a private key and puts it in the place of the one before, on the disk. Absent: it cannot be replaced from here. */
  readonly replace?: (jwk: PrivateJwk) => Promise<KeyPair>
}

/** Nothing that is signed lives longer, in milliseconds; a minute for clocks that run behind. */
const RETIRE_MS = (SESSION_TTL_SECONDS + 60) * 1000

/** Reads what was signed with before. A key that was replaced while nobody served is retired now, and the log says so. */
export async function createIssuerKeyring(options: IssuerKeyringOptions): Promise<IssuerKeyring> {
  let signing = options.key
  let known = await take(options, signing, 'system')
  const retired = new Map<string, KeyPair>()
  const standing = (): readonly IssuerKey[] => {
    const now = options.clock.now()
    return known.filter(({ until }) => until === undefined || now < until)
  }
  return {
    current: () => signing,
    find(kid) {
      if (kid === signing.jkt) return signing
      const found = standing().find(({ jkt }) => jkt === kid)
      if (found === undefined) return undefined
      const imported = retired.get(kid) ?? importPublicKey({ ...found.jwk })
      retired.set(kid, imported)
      return imported
    },
    list: standing,
    async rotate({ jkt }) {
      if (options.replace === undefined)
        throw new ConfigError('`keys.issuer` comes from the environment: replace it there and start again')
      const next = await options.replace(generateKey('Ed25519'))
      // From the next line on nothing is signed with the old key, which stays known until all that it signed has expired.
      signing = next
      known = [toShown(next, options.clock.now()), ...known.map((key) => toRetired(key, options.clock.now()))]
      known = await take(options, next, jkt)
      return known[0] ?? toShown(next, options.clock.now())
    },
  }
}

function toShown({ jkt, alg, jwk }: KeyPair, since: number): IssuerKey {
  return { jkt, alg, jwk: { ...jwk }, since }
}

function toRetired(key: IssuerKey, now: number): IssuerKey {
  return key.until === undefined ? { ...key, until: now + RETIRE_MS } : key
}

/** Records which key signs, where that is news. */
async function take(options: IssuerKeyringOptions, key: KeyPair, by: string): Promise<readonly IssuerKey[]> {
  return perform(options, async (read: ReadOne) => {
    const now = options.clock.now()
    const before = (await read<readonly IssuerKey[]>(ISSUER_KEYS_RECORD)) ?? []
    const [first] = before
    if (first?.jkt === key.jkt && first.until === undefined)
      return { result: before, writes: [], act: 'key.rotate', by, subject: 'system', detail: {} }
    const others = before
      .filter(({ jkt, until }) => jkt !== key.jkt && (until === undefined || now < until))
      .map((each) => toRetired(each, now))
    const after = [toShown(key, now), ...others]
    const detail: JsonObject = { issuer: key.jkt, retired: others.map(({ jkt, until = 0 }) => ({ jkt, until })) }
    const value = after.map(asJson)
    return {
      result: after,
      writes: [{ key: ISSUER_KEYS_RECORD, value }],
      act: 'key.rotate',
      by,
      subject: 'system',
      detail,
    }
  })
}
