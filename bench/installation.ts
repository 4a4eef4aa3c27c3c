/**
 * @module
 * An installation of Unbearer as `init`, `agents enrol`, `tools accept`, `grant create` and `task open` leave it, with as many
 * agents as there are connections.
 */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { openInstallation, type Opened } from '../src/config/compose.ts'
import { loadConfig } from '../src/config/load.ts'
import { acceptManifest, toManifestYaml } from '../src/config/manifest.ts'
import type { EnrolledKey } from '../src/core/evidence.ts'
import { generateKey, readKeyFile, type PrivateJwk } from '../src/crypto/keys.ts'
import { UnavailableError } from '../src/index.ts'
import { MANIFEST, PURPOSE, toGrant, UPSTREAM } from './calls.ts'

export interface BenchAgent {
  readonly key: PrivateJwk
  readonly txn: string
}

export interface Installation {
  readonly config: string
  readonly agents: readonly BenchAgent[]
}

const ISSUER = 'https://bench.invalid'
const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))

/** Sets up an installation in `dir`, which must not exist; with `upstream` in front of that tool service. */
export async function createInstallation(dir: string, agents: number, upstream?: string): Promise<Installation> {
  await promisify(execFile)(process.execPath, [MAIN, 'init', '--dir', dir, '--issuer', ISSUER, '--json'])
  const config = join(dir, 'unbearer.yaml')
  await writeFile(config, toConfig(upstream))
  await acceptTools(dir)
  const opened = await openInstallation(await loadConfig(config))
  try {
    const made: BenchAgent[] = []
    for (let index = 0; index < agents; index += 1) made.push(await createAgent(opened, index))
    return { config, agents: made }
  } finally {
    await opened.close()
  }
}

/**
 * The defaults of `init`, except: `enforce`; a deadline that no stall of a busy machine reaches; and an anomaly threshold that
 * the load itself, which is unusual for any agent, does not reach. Everything is computed all the same.
 */
function toConfig(upstream: string | undefined): string {
  const entry = `\n  - { name: ${UPSTREAM}, kind: mcp, url: ${JSON.stringify(upstream ?? '')} }`
  return `issuer: ${ISSUER}
listen: 127.0.0.1:0
deployment: same-user
mode: enforce
store: sqlite:./state/unbearer.db
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk } }
engine: [{ kind: cedar, policies: ./policies }]
manifests: ./manifests
limits: { deadline: 10s }
anomaly: { falsePositivesPerTask: 0.000000001 }
upstreams:${upstream === undefined ? ' []' : entry}
`
}

async function acceptTools(dir: string): Promise<void> {
  const key = await readKeyFile(join(dir, 'keys', 'operator.jwk'))
  const accepted = acceptManifest(MANIFEST, { by: key.jkt, at: new Date().toISOString(), key })
  await writeFile(join(dir, 'manifests', `${UPSTREAM}.yaml`), toManifestYaml(accepted), { mode: 0o600 })
}

async function createAgent({ services }: Opened, index: number): Promise<BenchAgent> {
  const [operator, host] = await Promise.all([
    services.keys.findByName('operator', 'operator-1'),
    services.keys.findByName('host', 'host-1'),
  ])
  const key = generateKey('Ed25519')
  const [name, principal] = [`agent-${index}`, `user-${index}`]
  const [by, openedBy] = [required(operator), required(host)]
  await services.keys.enrol({ role: 'agent', name, jwk: { ...key }, by: by.jkt })
  await services.grants.create(toGrant(name, principal), by)
  const { txn } = await services.tasks.open({ purpose: PURPOSE, principal, actor: name, openedBy })
  return { key, txn }
}

function required(key: EnrolledKey | undefined): EnrolledKey {
  if (key === undefined) throw new UnavailableError('`init` enrolled no operator or no host')
  return key
}
