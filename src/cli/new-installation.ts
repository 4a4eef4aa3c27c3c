/**
 * @module
 * An installation in a folder of its own: keys, folders, policies, the first enrolments, and last its configuration.
 */
import { randomBytes } from 'node:crypto'
import { chmod, copyFile, lstat, mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { parseConfig, type Config } from '../config/load.ts'
import type { EnrolledKey, KeyRole } from '../core/evidence.ts'
import { asJson } from '../core/json.ts'
import { MAX_OBSERVE_MS } from '../core/mode.ts'
import { generateKey, readKeyFile, writeKeyFile, type KeyPair } from '../crypto/keys.ts'
import { signObserve } from '../server/modes.ts'

export interface NewInstallation {
  readonly dir: string
  /** The text of the configuration; relative paths in it are resolved against `dir`. */
  readonly text: string
  /** The folder in `dir` that gets the policies that ship; absent: the configuration names others that are there. */
  readonly policies?: string
  /** A folder with `operator.jwk`, `approver.jwk` and `host.jwk` to copy; absent: new ones are made. */
  readonly people?: string
  /** True: the operator signs that it may observe, as the configuration says. */
  readonly observe: boolean
}

type Installation = Awaited<ReturnType<typeof import('../config/compose.ts').openInstallation>>

const POLICIES = fileURLToPath(new URL('../../policies/', import.meta.url))
/** What every installation has, beside its policies. */
export const FOLDERS = ['keys', 'state', 'head', 'manifests'] as const
/** The keys of people and applications, enrolled here; the keys of the gateway itself are not enrolled. */
const ENROLLED: readonly KeyRole[] = ['operator', 'approver', 'host']
const OWN = ['issuer', 'log'] as const

/**
 * Writes and enrols. The configuration comes last, so that it is only ever there when all that it speaks of is. Throws
 * `ConfigError` for a configuration that cannot be used, before anything is written. Does not look whether the folder is free.
 */
export async function writeInstallation(made: NewInstallation): Promise<Config> {
  const { dir, text, policies, people } = made
  const config = parseConfig(text, { dir })
  await writeFolders(dir, policies === undefined ? FOLDERS : [...FOLDERS, policies])
  const keys = join(dir, 'keys')
  for (const name of OWN) await writeKeyFile(join(keys, `${name}.jwk`), { ...generateKey('Ed25519') })
  for (const name of ENROLLED) {
    if (people === undefined) await writeKeyFile(join(keys, `${name}.jwk`), { ...generateKey('Ed25519') })
    else await copyPrivate(join(people, `${name}.jwk`), join(keys, `${name}.jwk`))
  }
  const { writeMasterKey } = await import('../config/evidence.ts')
  writeMasterKey(join(keys, 'evidence.key'))
  if (policies !== undefined) await copyPolicies(join(dir, policies))
  await enrol(config, made)
  const { syncTree, syncFolder } = await import('../server/durable-file.ts')
  syncTree(dir)
  await writeFile(join(dir, 'unbearer.yaml'), text, { flag: 'wx', mode: 0o600, flush: true })
  for (const folder of [dir, dirname(dir)]) syncFolder(folder)
  return config
}

/** Whether anything has this name, a broken link too. */
export async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}

async function writeFolders(dir: string, folders: readonly string[]): Promise<void> {
  const first = await mkdir(dir, { recursive: true, mode: 0o700 })
  // A umask that shares with a group would make a folder that the start refuses.
  if (first !== undefined) await chmod(dir, 0o700)
  for (const name of folders) await mkdir(join(dir, name), { mode: 0o700 })
}

async function copyPolicies(to: string): Promise<void> {
  await copyFolder(join(POLICIES, 'default'), to)
  await copyPrivate(join(POLICIES, 'schema.cedarschema'), join(to, 'schema.cedarschema'))
  await mkdir(join(to, 'operators'), { mode: 0o700 })
  await copyFolder(join(POLICIES, 'operators'), join(to, 'operators'))
}

async function copyFolder(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) await copyPrivate(join(from, name), join(to, name))
}

async function copyPrivate(from: string, to: string): Promise<void> {
  await copyFile(from, to)
  await chmod(to, 0o600)
}

async function enrol(config: Config, { dir, observe }: NewInstallation): Promise<void> {
  const { openInstallation } = await import('../config/compose.ts')
  const opened = await openInstallation(config)
  try {
    for (const role of ENROLLED) {
      const key = await readKeyFile(join(dir, 'keys', `${role}.jwk`))
      // The first operator is an admin: somebody has to enrol the others.
      const enrolled = await opened.services.keys.enrol({ role, name: `${role}-1`, jwk: { ...key.jwk }, by: 'system' })
      if (role === 'operator' && observe) await signFirstObserve(config, opened, key, enrolled)
    }
  } finally {
    await opened.close()
  }
}

/** To observe is an act of an operator; this one says yes to what the file says, and ends where the file says otherwise. */
async function signFirstObserve(
  { issuer }: Config,
  { services, clock }: Installation,
  key: KeyPair,
  by: EnrolledKey,
): Promise<void> {
  const at = clock.now()
  const said = { id: randomId(), at, expires: at + MAX_OBSERVE_MS, configured: true, note: 'signed by `unbearer init`' }
  await services.modes.observe(asJson(signObserve(key, issuer, said)), by)
}

function randomId(): string {
  return randomBytes(16).toString('base64url')
}
