/**
 * @module
 * Enrolled keys, imported once: importing a JWK per request costs more than looking it up.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { fromRecord, keyRecord } from '../core/records.ts'
import { importKey, type KeyPair } from '../crypto/keys.ts'
import type { Store } from '../ports/store.ts'

export interface Keyring {
  /** The imported key when it was loaded before; synchronous, for the verifier of signatures. */
  find(jkt: string): KeyPair | undefined
  /** Reads the key from the store. Undefined when it is not enrolled. */
  load(jkt: string): Promise<EnrolledKey | undefined>
}

export function createKeyring(store: Store): Keyring {
  const imported = new Map<string, KeyPair>()
  return {
    find: (jkt) => imported.get(jkt),
    async load(jkt) {
      const [record] = await store.get([keyRecord(jkt)])
      const enrolled = fromRecord<EnrolledKey>(record)
      if (enrolled === undefined || enrolled.jkt !== jkt) return undefined
      if (!imported.has(jkt)) imported.set(jkt, importKey({ ...enrolled.jwk }))
      return enrolled
    },
  }
}
