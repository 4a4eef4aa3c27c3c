/**
 * @module
 * What `unbearer mcp` makes the first time, as the operator whose key lies beside the installation: an agent with a key, a grant
 * and a manifest. What is there already is left as it is, so that a person has the last word.
 */
import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import { join } from 'node:path'

import { draftManifest } from '../adapters/mcp/draft.ts'
import { scanTools } from '../adapters/mcp/scan.ts'
import type { Serving } from '../config/listen.ts'
import type { Surroundings } from '../config/gateways.ts'
import type { Config } from '../config/load.ts'
import { acceptManifest, toManifestYaml } from '../config/manifest.ts'
import { BESIDE, LEVELS } from '../core/effect.ts'
import { ConfigError } from '../core/errors.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { asJson } from '../core/json.ts'
import { MAX_OBSERVE_MS } from '../core/mode.ts'
import { generateKey, readKeyFile, writeKeyFile, type KeyPair } from '../crypto/keys.ts'
import type { Caller } from '../ports/pep.ts'
import { signObserve } from '../server/modes.ts'
import { isThere } from './new-installation.ts'

/** What is wrapped. */
export interface Setup {
  readonly name: string
  readonly command: readonly string[]
  readonly config: Config
  readonly serving: Serving
}

function passOn(chunk: Uint8Array): void {
  process.stderr.write(chunk)
}

/** What the server would have found without us: the client has put its secrets there. */
export function toSurroundings(): Surroundings {
  const env = Object.entries(process.env).flatMap(([key, value]): [string, string][] =>
    value === undefined || key.startsWith('UNBEARER_') ? [] : [[key, value]],
  )
  return { cwd: process.cwd(), env: Object.fromEntries(env), onStderr: passOn }
}

/** An operator of this installation whose key lies beside it; where it does not, people do by hand what is done here. */
async function findOperator(config: Config, { composed }: Serving): Promise<[KeyPair, EnrolledKey]> {
  const file = join(config.dir, 'keys', 'operator.jwk')
  const refuse = async (): Promise<string> => {
    throw new ConfigError(
      `\`${file}\` is sealed: enrol the agent, create its grant and accept the tools yourself (\`unbearer agents enrol\`, \`grant create\`, \`tools accept\`)`,
    )
  }
  const key = await readKeyFile(file, refuse)
  const enrolled = await composed.services.keys.find(key.jkt)
  if (enrolled?.role === 'operator') return [key, enrolled]
  throw new ConfigError(`\`${file}\` is not the key of an operator of this installation`)
}

/** The agent that whoever speaks to this process acts as; enrolled, with a grant of the user, the first time. */
export async function ensureAgent({ name, config, serving }: Setup): Promise<Caller> {
  const { keys, grants } = serving.composed.services
  const agent = `mcp-${name}`.slice(0, 64)
  const known = (await keys.findByName('agent', agent)) ?? (await enrolAgent(agent, config, serving))
  if ((await grants.findFor(known.jkt)).length === 0) await createGrant(name, known, config, serving)
  return {
    proof: { grade: 'process', jkt: known.jkt, bodyBound: true },
    actor: { type: 'agent', id: known.name, jkt: known.jkt },
  }
}

async function enrolAgent(name: string, config: Config, serving: Serving): Promise<EnrolledKey> {
  const [, by] = await findOperator(config, serving)
  const file = join(config.dir, 'keys', `${name}.jwk`)
  if (!(await isThere(file))) await writeKeyFile(file, { ...generateKey('Ed25519') })
  const { jwk } = await readKeyFile(file)
  return serving.composed.services.keys.enrol({ role: 'agent', name, jwk: { ...jwk }, by: by.jkt })
}

/** A bound, not a permission to do it all: policy holds whatever is no plain read for a person. */
async function createGrant(name: string, agent: EnrolledKey, config: Config, serving: Serving): Promise<void> {
  const [, by] = await findOperator(config, serving)
  await serving.composed.services.grants.create(
    {
      principal: toUserName(),
      actor: agent.jkt,
      expires: '90d',
      operations: [{ tool: `${name}/*`, effects: [...LEVELS, ...BESIDE] }],
    },
    by,
  )
}

function toUserName(): string {
  try {
    return userInfo().username
  } catch {
    return 'user'
  }
}

/** To observe has to be signed; whoever starts the command holds the key. */
export async function ensureObserve({ name: upstream, config, serving }: Setup): Promise<void> {
  const { modes, services, clock } = serving.composed
  if (modes.look({ upstream }).mode === 'observe') return
  const [key, by] = await findOperator(config, serving)
  const at = clock.now()
  const id = randomBytes(16).toString('base64url')
  const said = {
    id,
    at,
    expires: at + MAX_OBSERVE_MS,
    configured: true,
    note: 'signed by `unbearer mcp --mode observe`',
  }
  await services.modes.observe(asJson(signObserve(key, config.issuer, said)), by)
}

export interface Accepted {
  readonly tools: number
  readonly isNew: boolean
}

/** The tools as they are the first time are what is accepted; from then on they are compared with that. */
export async function ensureManifest({ name, command, config, serving }: Setup): Promise<Accepted> {
  const { manifests, control, clock } = serving.composed
  const known = manifests.find(name)
  if (known !== undefined) return { tools: Object.keys(known.tools).length, isNew: false }
  const [key, by] = await findOperator(config, serving)
  const scanned = await scanTools({ upstream: { command, ...toSurroundings() } })
  const { manifest } = draftManifest(name, scanned)
  const at = new Date(clock.now()).toISOString()
  const signed = acceptManifest(manifest, { by: key.jkt, at, key })
  await control.call('manifest.accept', { text: toManifestYaml(signed) }, by)
  return { tools: scanned.descriptors.length, isNew: true }
}
