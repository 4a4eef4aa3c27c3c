/**
 * @module
 * Opens an installation beside its writer, to look at the log: nothing is written, and a log that was tampered with opens
 * too, so that it can be shown what is wrong with it.
 */
import { ConfigError } from '../core/errors.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'
import { createHeadKeeper } from '../server/head.ts'
import { toLogOrigin } from './compose.ts'
import { openEvidenceForReading } from './evidence.ts'
import type { Config } from './load.ts'
import { readKey } from './read-key.ts'

export interface Reading {
  /** Its master key is not asked for before evidence is: verifying the log needs none. */
  readonly store: SealedStore
  /** The verifier key of the log (C2SP signed-note). */
  readonly vkey: string
  /** The head that is kept outside; absent when there is none yet. */
  readonly head?: string
  close(): Promise<void>
}

/**
 * Opens the store for reading. Throws `ConfigError` where there is nothing to read, `IntegrityError` when the store cannot
 * even be opened in agreement with itself. Does not compare the log with the head: `audit verify` does.
 */
export async function openForReading(config: Config): Promise<Reading> {
  const { store: place } = config
  if (place.kind === 'memory') throw new ConfigError('a store in memory can only be read by the process that has it')
  const logKey = readKey(config.audit.checkpointKey, 'audit.checkpointKey')
  const origin = toLogOrigin(config.issuer)
  const vkey = toVkey(origin, logKey)
  const { createSqliteStore } = await import('../stores/sqlite.ts')
  const inner = await createSqliteStore({ path: place.path, readOnly: true, seal: createSeal(origin, logKey) })
  const store = openEvidenceForReading(config, inner)
  const head = createHeadKeeper(config.audit.head, vkey).read()
  return { store, vkey, ...(head === undefined ? {} : { head }), close: async () => store.close() }
}
