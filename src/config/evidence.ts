/**
 * @module
 * Opens the vault of an installation: the master key from where the configuration says, compared with what the store is
 * sealed under. What a version before left in the clear is sealed here, before anything is served.
 */
import { closeSync, existsSync, fsyncSync, openSync, writeSync } from 'node:fs'

import { ConfigError } from '../core/errors.ts'
import { VAULT_RECORD } from '../core/records.ts'
import { newMasterKey, parseMasterKey, type MasterKey } from '../crypto/vault.ts'
import { createSealedStore, type SealedStore } from '../pdp/sealed-store.ts'
import { resealAll } from '../pdp/reseal.ts'
import { assertMaster, isSealed } from '../pdp/subject-keys.ts'
import type { Store } from '../ports/store.ts'
import type { Config } from './load.ts'

/** Told in words what the operator should know of the opening, and nothing is wrong with. */
type Notice = (text: string) => void

/**
 * Seals `inner` for its one writer. Makes the file of the master key where nothing was ever sealed and there is none. Throws
 * `ConfigError` for a master key that is missing, not one, or not that of the store. Does not back the key up.
 */
export async function openEvidence(config: Config, inner: Store, notice: Notice): Promise<SealedStore> {
  const sealedBefore = await isSealed(inner)
  const master = sealedBefore ? readMaster(config) : firstMaster(config, notice)
  await assertMaster(inner, master)
  const store = createSealedStore(inner, () => master)
  if (sealedBefore) return store
  await sealFirst(inner, store, notice)
  const vault = { v: 1, fingerprint: master.fingerprint }
  const result = await inner.commit({ writes: [{ key: VAULT_RECORD, value: vault }] })
  if (result.status === 'applied') await result.durable
  return store
}

/** The same for somebody who only reads; the master key is not asked for before evidence is. */
export function openEvidenceForReading(config: Config, inner: Store): SealedStore {
  return createSealedStore(inner, () => readMaster(config))
}

function readMaster({ evidence: { masterKey } }: Config): MasterKey {
  const { source } = masterKey
  if ('file' in source && !existsSync(source.file)) {
    throw new ConfigError(
      `\`evidence.masterKey\`: \`${source.file}\` is gone; put it back from its backup, without it what is sealed cannot be read`,
    )
  }
  return parseMasterKey(masterKey.reveal())
}

/** Nothing is sealed yet: a key may be made. A store in memory needs none that outlives it. */
function firstMaster(config: Config, notice: Notice): MasterKey {
  const { source } = config.evidence.masterKey
  if (!('file' in source) || existsSync(source.file)) return readMaster(config)
  if (config.store.kind === 'memory') return parseMasterKey(newMasterKey())
  writeMasterKey(source.file)
  notice(`made \`${source.file}\`, the key that evidence is sealed under from now on; back it up, apart from the store`)
  return readMaster(config)
}

/** Writes a new master key, mode 0600, on the disk before anything is sealed under it. Throws `ConfigError`. */
export function writeMasterKey(path: string): void {
  try {
    const file = openSync(path, 'wx', 0o600)
    try {
      writeSync(file, `${newMasterKey()}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be made for \`evidence.masterKey\`; its folder must exist and be ours`, {
      cause,
    })
  }
}

async function sealFirst(inner: Store, store: SealedStore, notice: Notice): Promise<void> {
  let told = 0
  const count = await resealAll(inner, store, (sealed) => {
    if (sealed - told < 10_000) return
    told = sealed
    notice(`sealing evidence of the version before: ${sealed} pieces so far`)
  })
  if (count === 0) return
  const clean = await inner.scrub({ rewrite: true }).catch(() => false)
  notice(
    clean
      ? `sealed ${count} pieces of evidence and records that the version before kept in the clear`
      : `sealed ${count} pieces that the version before kept in the clear; the files of the store still hold remains of them, because they could not be rewritten now`,
  )
}
