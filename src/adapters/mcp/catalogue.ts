/**
 * @module
 * What the tools of an upstream look like in one MCP session: the descriptor hashes that pins are compared with.
 */
import { hashOf, UnavailableError, type JsonObject } from '../../index.ts'
import { canCarryIntent } from './intent.ts'
import { readAllPages, type Listing } from './pages.ts'
import type { UpstreamConnection } from './upstream.ts'

export interface ListedTool {
  readonly name: string
  readonly descriptor: JsonObject
  /** `sha-256:` + base64url over the RFC 8785 form of the whole descriptor; absent when it has no such form. */
  readonly hash?: string
  /** False when calls must be refused: the schema cannot carry the intent argument, or the descriptor has no hash. */
  readonly usable: boolean
}

export interface ToolList {
  readonly frame: JsonObject
  readonly tools: ReadonlyMap<string, ListedTool>
}

export interface Catalogue {
  /** The list as last read in this session; reads it when it was never read, was forgotten, or is old. */
  current(): Promise<ToolList>
  /** Reads the list anew. */
  refresh(): Promise<ToolList>
  /** The server said that its tools changed. */
  forget(): void
}

export interface CatalogueOptions {
  readonly connection: UpstreamConnection
  readonly clock: { now(): number }
  /** Told of every list that was read whole. */
  readonly onList?: (tools: readonly ListedTool[]) => void
}

const TOOLS = { method: 'tools/list', member: 'tools' }
/** Milliseconds after which a list is read again, because a server need not say that it changed. */
const AGE = 5 * 60_000
const ATTEMPTS = 3

/** Creates the catalogue of one connection. Concurrent readers share one reading. */
export function createCatalogue({ connection, clock, onList }: CatalogueOptions): Catalogue {
  let known: { readonly list: ToolList; readonly at: number } | undefined
  let reading: Promise<ToolList> | undefined
  let generation = 0
  const read = async (): Promise<ToolList> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const begun = generation
      const list = toToolList(await readAllPages(connection, TOOLS))
      // A change that was announced while the pages were read makes them a mixture.
      if (begun !== generation) continue
      known = { list, at: clock.now() }
      onList?.([...list.tools.values()])
      return list
    }
    throw new UnavailableError('the tools of the server keep changing')
  }
  const refresh = (): Promise<ToolList> => {
    known = undefined
    reading ??= read().finally(() => (reading = undefined))
    return reading
  }
  return {
    current: async () => (known !== undefined && clock.now() - known.at < AGE ? known.list : refresh()),
    refresh,
    forget: () => {
      generation += 1
      known = undefined
    },
  }
}

/** Names are unique over all pages; a list with two tools of one name is refused whole, because either may be meant. */
export function toToolList({ frame, items }: Listing): ToolList {
  const tools = new Map<string, ListedTool>()
  for (const descriptor of items) {
    const name = descriptor['name']
    if (typeof name !== 'string' || name === '') throw new UnavailableError('a tool of the server has no name')
    if (tools.has(name)) throw new UnavailableError('two tools of the server have the same name')
    tools.set(name, toListedTool(name, descriptor))
  }
  return { frame, tools }
}

function toListedTool(name: string, descriptor: JsonObject): ListedTool {
  const hash = findHash(descriptor)
  const usable = hash !== undefined && canCarryIntent(descriptor['inputSchema'])
  return { name, descriptor, ...(hash === undefined ? {} : { hash }), usable }
}

function findHash(descriptor: JsonObject): string | undefined {
  try {
    return hashOf(descriptor)
  } catch {
    return undefined
  }
}

/** What is pinned for a decided method that has no descriptor, such as `resources/read`: the method itself. */
export function toMethodHash(method: string): string {
  return hashOf({ method })
}
