/**
 * @module
 * The accepted manifests in memory: read from the folder, signatures verified under enrolled operator keys, exchanged whole.
 */
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import type { EnrolledKey } from '../core/evidence.ts'
import { ConfigError, InputError, RefusedError } from '../core/errors.ts'
import type { ServerManifest, ToolFacts } from '../core/manifest.ts'
import { importKey, type KeyPair } from '../crypto/keys.ts'
import { assertServerName, isAccepted, parseManifest, toManifestYaml, toToolFacts } from './manifest.ts'

export interface ManifestRegistry {
  tool(upstream: string, tool: string, descriptorHash: string | undefined): ToolFacts
  find(upstream: string): ServerManifest | undefined
  /** Rises with each reload, so that a decision can tell whether what it read still stands. */
  generation(): number
  /** Reads the folder again. Keeps what was there when any file cannot be read or parsed, and throws `ConfigError`. */
  reload(): Promise<void>
  /**
   * Reads another folder under other keys, without putting anything in force: what it answers does, at once. Throws
   * `ConfigError` as `reload` does.
   */
  prepare(folder: string, acceptors: () => Promise<readonly KeyPair[]>): Promise<() => void>
  /**
   * Puts a manifest that `by` has signed in force, in the place of the one before. Throws `InputError` for a text that is no
   * manifest, `RefusedError` when it is not signed by `by` as it stands; what was in force stays when it cannot be read back.
   * `record` runs when it is known to be signed, before anything changes.
   */
  accept(text: string, by: EnrolledKey, record: (manifest: ServerManifest) => Promise<void>): Promise<ServerManifest>
  /** Servers whose manifest nobody whose key is enrolled has signed as it stands. */
  unaccepted(): readonly string[]
}

interface Loaded {
  readonly manifest: ServerManifest
  readonly accepted: boolean
}

/**
 * `operators` is asked at each reload, `isRevoked` at each look: a key that is revoked vouches for nothing from then on. Does
 * not watch the folder: `unbearer tools accept` tells a running server.
 */
export async function createManifestRegistry(
  folder: string,
  operators: () => Promise<readonly KeyPair[]>,
  isRevoked: (jkt: string) => boolean,
): Promise<ManifestRegistry> {
  let loaded: ReadonlyMap<string, Loaded> = new Map()
  let generation = 0
  let dir = folder
  const isInForce = ({ manifest, accepted }: Loaded): boolean =>
    accepted && manifest.accepted !== undefined && !isRevoked(manifest.accepted.by)
  const registry: ManifestRegistry = {
    tool(upstream, tool, descriptorHash) {
      const found = loaded.get(upstream)
      return found === undefined
        ? { status: 'unknown' }
        : toToolFacts(found.manifest, tool, descriptorHash, isInForce(found))
    },
    find: (upstream) => loaded.get(upstream)?.manifest,
    generation: () => generation,
    async reload() {
      loaded = await readFolder(dir, await operators())
      generation += 1
    },
    async prepare(next, acceptors) {
      const read = await readFolder(next, await acceptors())
      return () => {
        loaded = read
        dir = next
        generation += 1
      }
    },
    async accept(text, by, record) {
      const manifest = parseAccepted(text, by)
      await record(manifest)
      await replaceFile(join(dir, `${manifest.server}.yaml`), toManifestYaml(manifest), async () => registry.reload())
      return manifest
    },
    unaccepted: () => [...loaded].filter(([, each]) => !isInForce(each)).map(([server]) => server),
  }
  await registry.reload()
  return registry
}

function parseAccepted(text: string, by: EnrolledKey): ServerManifest {
  const manifest = parseText(text)
  assertServerName(manifest.server)
  const key = importKey({ ...by.jwk })
  if (manifest.accepted?.by === by.jkt && isAccepted(manifest, () => key)) return manifest
  throw new RefusedError('identity.bad-proof', 'the manifest is not signed, as it stands, by the key that asks')
}

function parseText(text: string): ServerManifest {
  try {
    return parseManifest(text)
  } catch (cause) {
    throw new InputError(cause instanceof Error ? cause.message : 'not a manifest', 'system.malformed', { cause })
  }
}

/** Puts back what was there when `reload` does not take the new content. */
async function replaceFile(path: string, content: string, reload: () => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const before = await readFile(path).catch(() => undefined)
  // A rename within the folder: whoever reads it meanwhile sees the old file or the new one.
  await writeFile(`${path}.new`, content, { mode: 0o644 })
  await rename(`${path}.new`, path)
  try {
    await reload()
  } catch (cause) {
    if (before === undefined) await rm(path, { force: true })
    else await writeFile(path, before)
    throw cause
  }
}

async function readFolder(dir: string, operators: readonly KeyPair[]): Promise<ReadonlyMap<string, Loaded>> {
  const manifests = await readManifests(dir)
  const isSigned = (manifest: ServerManifest): boolean =>
    isAccepted(manifest, (by) => operators.find(({ jkt }) => jkt === by))
  return new Map([...manifests].map(([server, manifest]) => [server, { manifest, accepted: isSigned(manifest) }]))
}

/** The manifests of a folder by server, drafts left out. Throws `ConfigError`. Does not say who accepted them. */
export async function readManifests(dir: string): Promise<ReadonlyMap<string, ServerManifest>> {
  const files = (await readNames(dir)).filter((file) => /^[^.].*\.ya?ml$/.test(file) && !/\.draft\.ya?ml$/.test(file))
  const found = new Map<string, ServerManifest>()
  for (const file of files.toSorted()) {
    const manifest = await readManifest(join(dir, file))
    if (found.has(manifest.server)) throw new ConfigError(`two manifests are for the server \`${manifest.server}\``)
    found.set(manifest.server, manifest)
  }
  return found
}

/** A folder that is not there holds no manifest: then every tool is unknown, which denies. */
async function readNames(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return []
    throw new ConfigError(`the manifests in \`${dir}\` cannot be read`, { cause })
  }
}

async function readManifest(path: string): Promise<ServerManifest> {
  try {
    return parseManifest(await readFile(path, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? `: ${cause.message}` : ''
    throw new ConfigError(`the manifest \`${path}\` cannot be used${why}`, { cause })
  }
}
