/**
 * @module
 * What the tools of a server looked like when they were accepted, and what was seen to differ in the last session: for people, who
 * cannot read a hash. Lies beside the manifests, decides nothing, and is believed only where it hashes to what was signed.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { hashOf } from '../core/bind.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { ServerManifest } from '../core/manifest.ts'
import { parseJson } from '../core/parse-json.ts'

/** A tool as a session saw it. */
export interface SeenTool {
  readonly name: string
  readonly descriptor: JsonObject
  /** Absent where the descriptor has no RFC 8785 form. */
  readonly hash?: string
}

export interface ToolChange {
  readonly tool: string
  readonly change: 'added' | 'changed' | 'removed'
  /** As it was accepted; absent for what was added, and where nobody has seen it since. */
  readonly was?: JsonObject
  /** As it is now; absent for what was removed. */
  readonly now?: JsonObject
}

export interface SeenServer {
  readonly server: string
  /** Descriptors that hash to their pins. */
  readonly accepted: Readonly<Record<string, JsonObject>>
  readonly changes: readonly ToolChange[]
}

const FOLDER = '.seen'
const MOST_BYTES = 16 * 1024 * 1024
/** The pin of a method of MCP, which has no descriptor. */
const isMethod = (name: string, hash: string): boolean => hash === hashOf({ method: name })

/** Compares what a session saw with the pins of a manifest. Pure. `before` is where descriptors of earlier sessions come from. */
export function compareTools(
  manifest: ServerManifest,
  tools: readonly SeenTool[],
  before: Readonly<Record<string, JsonObject>>,
): SeenServer {
  const pinned = Object.entries(manifest.tools).filter(([name, { hash }]) => !isMethod(name, hash))
  const pins = new Map(pinned.map(([name, { hash }]) => [name, hash]))
  const known = Object.entries(before).filter(([name, descriptor]) => hashes(descriptor, pins.get(name)))
  const matching = tools.filter(({ name, hash }) => hash !== undefined && pins.get(name) === hash)
  const accepted = new Map([
    ...known,
    ...matching.map(({ name, descriptor }): [string, JsonObject] => [name, descriptor]),
  ])
  const differing = tools.filter(({ name, hash }) => hash === undefined || pins.get(name) !== hash)
  const gone = [...pins.keys()].filter((name) => !tools.some((tool) => tool.name === name))
  return {
    server: manifest.server,
    accepted: Object.fromEntries(accepted),
    changes: [
      ...differing.map(({ name, descriptor }): ToolChange => {
        const was = accepted.get(name)
        const change = pins.has(name) ? 'changed' : 'added'
        return { tool: name, change, ...(was === undefined ? {} : { was }), now: descriptor }
      }),
      ...gone.map((tool): ToolChange => {
        const was = accepted.get(tool)
        return { tool, change: 'removed', ...(was === undefined ? {} : { was }) }
      }),
    ],
  }
}

function hashes(descriptor: JsonObject, pin: string | undefined): boolean {
  try {
    return pin !== undefined && hashOf(descriptor) === pin
  } catch {
    return false
  }
}

/**
 * Remembers what a session saw, and answers what differs. A file that cannot be read counts as none. Throws what the file system
 * says when it cannot be written. Does not promise that two sessions at once leave more than what the later one saw.
 */
export async function rememberTools(
  folder: string,
  manifest: ServerManifest,
  tools: readonly SeenTool[],
): Promise<SeenServer> {
  const before = await readSeen(folder, manifest.server)
  const seen = compareTools(manifest, tools, before?.accepted ?? {})
  const text = JSON.stringify(toJson(seen))
  if (text.length > MOST_BYTES || text === JSON.stringify(before === undefined ? null : toJson(before))) return seen
  await mkdir(join(folder, FOLDER), { recursive: true, mode: 0o700 })
  const file = fileOf(folder, manifest.server)
  const fresh = `${file}.${randomBytes(6).toString('hex')}`
  await writeFile(fresh, text, { mode: 0o600, flag: 'wx' })
  await rename(fresh, file)
  return seen
}

function fileOf(folder: string, server: string): string {
  return join(folder, FOLDER, `${server}.json`)
}

function toJson({ server, accepted, changes }: SeenServer): JsonObject {
  return {
    server,
    accepted,
    changes: changes.map(({ tool, change, now }) => ({ tool, change, ...(now === undefined ? {} : { now }) })),
  }
}

/** What was seen of a server; undefined where nothing was, or it cannot be read. Does not verify a hash: `compareTools` does. */
export async function readSeen(folder: string, server: string): Promise<SeenServer | undefined> {
  try {
    return toSeen(parseJson(await readFile(fileOf(folder, server)), { numbers: 'any' }))
  } catch {
    return undefined
  }
}

function toSeen(value: Json): SeenServer | undefined {
  if (!isJsonObject(value)) return undefined
  const { server, accepted, changes } = value
  if (typeof server !== 'string' || !isJsonObject(accepted) || !Array.isArray(changes)) return undefined
  const kept = Object.entries(accepted).flatMap(([name, each]): [string, JsonObject][] =>
    isJsonObject(each) ? [[name, each]] : [],
  )
  const known = Object.fromEntries(kept)
  return { server, accepted: known, changes: changes.flatMap((each) => toChange(each, known)) }
}

function toChange(value: Json, accepted: Readonly<Record<string, JsonObject>>): readonly ToolChange[] {
  if (!isJsonObject(value)) return []
  const { tool, change, now } = value
  if (typeof tool !== 'string' || (change !== 'added' && change !== 'changed' && change !== 'removed')) return []
  const was = Object.hasOwn(accepted, tool) ? accepted[tool] : undefined
  return [{ tool, change, ...(was === undefined ? {} : { was }), ...(isJsonObject(now) ? { now } : {}) }]
}

/** Every server of which something was seen, by name. */
export async function listSeen(folder: string): Promise<readonly SeenServer[]> {
  const names = await readdir(join(folder, FOLDER)).catch((): string[] => [])
  const servers = names.filter((name) => name.endsWith('.json')).toSorted()
  const found = await Promise.all(servers.map(async (name) => readSeen(folder, name.slice(0, -'.json'.length))))
  return found.filter((each) => each !== undefined)
}

/** What still differs from the manifest that is there now: somebody may have accepted it since. */
export function toStanding(
  { server, accepted, changes }: SeenServer,
  manifest: ServerManifest | undefined,
): SeenServer {
  const tools = manifest?.tools ?? {}
  const pinOf = (tool: string): string | undefined => (Object.hasOwn(tools, tool) ? tools[tool]?.hash : undefined)
  const stands = ({ tool, now }: ToolChange): boolean =>
    now === undefined ? pinOf(tool) !== undefined : !hashes(now, pinOf(tool))
  return { server, accepted, changes: changes.filter(stands) }
}

const PARTS: readonly string[] = [
  'title',
  'description',
  'inputSchema',
  'outputSchema',
  'annotations',
  'icons',
  'execution',
  '_meta',
]

/** Which parts of a descriptor differ, in our own words only: it goes into logs. */
export function toChangedParts({ was, now }: ToolChange): readonly string[] {
  if (was === undefined || now === undefined) return []
  const differs = (key: string): boolean => JSON.stringify(was[key]) !== JSON.stringify(now[key])
  const parts = PARTS.filter(differs)
  const others = [...new Set([...Object.keys(was), ...Object.keys(now)])].filter((key) => !PARTS.includes(key))
  return [...parts, ...(others.some(differs) ? ['other parts'] : [])]
}
