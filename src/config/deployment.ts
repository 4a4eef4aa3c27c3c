/**
 * @module
 * Compares the declared deployment with user ids and file modes at start. An agent that can read a key or write a policy
 * needs no attack, so a wrong mode refuses to start and the message holds the command that mends it.
 */
import { readdirSync, statSync, type Stats } from 'node:fs'
import { dirname, join } from 'node:path'

import { ConfigError } from '../core/errors.ts'
import type { EngineConfig } from './engine-config.ts'
import type { Config } from './load.ts'
import type { Secret } from './secrets.ts'

/** Our own user id; replaced in tests. */
export type Uid = number | undefined

const OTHERS = 0o077
const OTHERS_WRITE = 0o022

/**
 * Throws `ConfigError` when the deployment is not what it says: the agent's uid is ours or root's, a key or secret file
 * or the state folder is open to others, or what decides (configuration, policies, manifests, head) can be written by
 * others or belongs to the agent. Absent files are left to whoever needs them.
 * Does not promise isolation: capabilities, containers, backups and debuggers are not looked at.
 */
export function assertDeployment(config: Config, uid: Uid = process.getuid?.()): void {
  const [first] = findDeploymentProblems(config, uid)
  if (first !== undefined) throw first
}

/** Everything for which `assertDeployment` would throw, and no more. */
export function findDeploymentProblems(config: Config, uid: Uid = process.getuid?.()): readonly ConfigError[] {
  const agentUid = config.deployment === 'same-user' ? undefined : config.deployment.agentUid
  const problems: ConfigError[] = []
  const attempt = (assert: () => void): void => {
    try {
      assert()
    } catch (fault) {
      if (!(fault instanceof ConfigError)) throw fault
      problems.push(fault)
    }
  }
  if (agentUid !== undefined) attempt(() => assertOtherUser(agentUid, uid))
  // Without POSIX modes there is nothing to compare; a declared agent uid was refused above.
  if (uid === undefined) return problems
  const store = config.store.kind === 'sqlite' ? [dirname(config.store.path)] : []
  for (const file of secretFiles(config)) attempt(() => assertMode(file, OTHERS, 'chmod 600', agentUid))
  for (const folder of store) attempt(() => assertMode(folder, OTHERS, 'chmod 700', agentUid))
  for (const path of decidingPaths(config)) attempt(() => assertMode(path, OTHERS_WRITE, 'chmod go-w', agentUid))
  return problems
}

function assertOtherUser(agentUid: number, uid: Uid): void {
  if (uid === undefined)
    throw new ConfigError('`deployment.agentUid` cannot be compared on this system, declare `same-user`')
  if (agentUid === uid) {
    throw new ConfigError(
      `\`deployment.agentUid\` is ${uid}, which is the user of this process; run the agent as another user or declare \`same-user\``,
    )
  }
}

/** The files of keys and secrets that a configuration names. */
export function secretFiles({ keys, audit, evidence, tls, upstreams, engine }: Config): readonly string[] {
  const secrets: readonly (Secret | undefined)[] = [
    keys.issuer,
    audit.checkpointKey,
    evidence.masterKey,
    tls?.key,
    ...upstreams.flatMap(({ secrets: own, oauth }) => [...Object.values(own), oauth?.secret, oauth?.refresh]),
    ...engine.flatMap((each) => ('url' in each ? [...Object.values(each.secrets), each.tls?.key] : [])),
  ]
  return secrets.flatMap((secret) => (secret !== undefined && 'file' in secret.source ? [secret.source.file] : []))
}

function decidingPaths(config: Config): readonly string[] {
  const { policies: operators } = config.operators
  const folders = [
    ...config.engine.flatMap(policyPaths),
    ...(operators === undefined ? [] : [operators]),
    config.manifests,
  ]
  return [
    ...(config.file === undefined ? [] : [config.file]),
    config.dir,
    dirname(config.audit.head),
    ...folders.flatMap((folder) => [folder, ...entriesOf(folder)]),
  ]
}

/** What decides and lies on this machine: policies, or the certificates by which an engine elsewhere is known. */
function policyPaths(engine: EngineConfig): readonly string[] {
  const paths =
    engine.kind === 'cedar'
      ? [engine.policies]
      : engine.kind === 'opa-wasm'
        ? [engine.bundle, engine.data]
        : [engine.tls?.ca]
  return paths.filter((path) => path !== undefined)
}

function entriesOf(folder: string): readonly string[] {
  try {
    return readdirSync(folder).map((name) => join(folder, name))
  } catch {
    return []
  }
}

function assertMode(path: string, forbidden: number, remedy: string, agentUid: number | undefined): void {
  const stats = statOf(path)
  if (stats === undefined) return
  if (stats.uid === agentUid) {
    throw new ConfigError(
      `\`${path}\` belongs to the user of the agent, run \`chown\` to give it to the user of the gateway`,
    )
  }
  // In a sticky folder nobody can replace what belongs to somebody else.
  const isSticky = stats.isDirectory() && (stats.mode & 0o1000) !== 0
  if ((stats.mode & forbidden) === 0 || (isSticky && forbidden === OTHERS_WRITE)) return
  const mode = (stats.mode & 0o777).toString(8).padStart(4, '0')
  throw new ConfigError(`\`${path}\` is open to other users (mode ${mode}), run \`${remedy} ${path}\``)
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}
