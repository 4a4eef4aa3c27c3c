/**
 * @module
 * Installations in the folder of the user: one for each server that `unbearer mcp` wraps, made when it is needed. A store has
 * one writer, so that a server that is wrapped twice at once has a second installation, which shares people, policies and
 * manifests with the first.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'

import { isThere, writeInstallation } from './new-installation.ts'

/** More clients than that do not run at once. */
export const MOST_AT_ONCE = 16

/** Absolute paths only, as the XDG base directory specification asks. */
export function toUserFolder(env: NodeJS.ProcessEnv = process.env): string {
  const { XDG_STATE_HOME: state = '', LOCALAPPDATA: local = '' } = env
  if (state.startsWith('/')) return join(state, 'unbearer')
  return process.platform === 'win32' && local !== ''
    ? join(local, 'unbearer')
    : join(homedir(), '.local', 'state', 'unbearer')
}

export interface Wanted {
  /** The name of the server. */
  readonly name: string
  /** From 1; the first is the one that the others share with. */
  readonly place: number
  readonly command: readonly string[]
}

/**
 * The configuration of this place; written when it is not there. Two processes that begin at once end up with one: whoever is
 * later throws its own away. Throws `ConfigError`, and what the file system says.
 */
export async function ensureInstallation(wanted: Wanted): Promise<string> {
  const folder = toUserFolder()
  const dir = join(folder, toFolderName(wanted))
  const file = join(dir, 'unbearer.yaml')
  if (await isThere(file)) return file
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const made = join(folder, `.new-${randomBytes(8).toString('hex')}`)
  try {
    await write(wanted, folder, made)
    await rename(made, dir)
  } catch (cause) {
    await rm(made, { recursive: true, force: true })
    if (!(await isThere(file))) throw cause
  }
  return file
}

function toFolderName({ name, place }: Pick<Wanted, 'name' | 'place'>): string {
  return place === 1 ? name : `${name}@${place}`
}

async function write({ name, place, command }: Wanted, folder: string, dir: string): Promise<void> {
  const shared = place === 1 ? '.' : `../${name}`
  const text = toYaml({ name, command, shared })
  const first = join(folder, name)
  await writeInstallation({
    dir,
    text,
    observe: false,
    ...(place === 1 ? { policies: 'policies' } : { people: join(first, 'keys') }),
  })
}

export interface UserInstallation {
  /** The server that it wraps. */
  readonly name: string
  readonly config: string
}

/** Every installation of this user, by name. Empty where there is none. */
export async function listInstallations(): Promise<readonly UserInstallation[]> {
  const folder = toUserFolder()
  const names = await readdir(folder).catch((): string[] => [])
  const found = names
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .map((name) => ({ name: name.replace(/@\d+$/, ''), config: join(folder, name, 'unbearer.yaml') }))
  const there = await Promise.all(found.map(async ({ config }) => isThere(config)))
  return found.filter((_each, index) => there[index] === true)
}

function toYaml({ name, command, shared }: { name: string; command: readonly string[]; shared: string }): string {
  return `# Written by \`unbearer mcp\` for the server \`${name}\`. Every key: docs/reference/config.md of the package.
issuer: https://unbearer-${randomBytes(5).toString('hex')}.invalid

# For people: \`unbearer approvals\`, \`why\`, \`doctor\`. A port that is free; where it is lies beside the store.
listen: 127.0.0.1:0

# The client, the server and this gateway run as one user: advisory. An agent of this user that can run commands can go around.
deployment: same-user

# enforce: reads of accepted tools pass, a person is asked for anything else. observe: decide and record, block little.
mode: enforce

store: sqlite:./state/unbearer.db
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk } }
evidence:
  masterKey: { file: ./keys/evidence.key }
  retention: { outputs: 30d, permits: 90d, refusals: 365d, acts: forever }

engine: [{ kind: cedar, policies: ${shared}/policies }]
operators: { policies: ${shared}/policies/operators }
manifests: ${shared}/manifests

# As it was started first. What the settings of the client say counts.
upstreams:
  - { name: ${name}, kind: mcp, command: ${JSON.stringify(command)} }

# A machine that has just woken up is slow, and nobody here floods us.
limits: { deadline: 2s }
`
}
