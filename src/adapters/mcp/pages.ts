/**
 * @module
 * Reads every page of a list. What is pinned, shown and scanned is the whole list or nothing.
 */
import { isJsonObject, UnavailableError, type Json, type JsonObject } from '../../index.ts'
import type { UpstreamConnection } from './upstream.ts'

const PAGES = 100
const ITEMS = 5000
/** Milliseconds for the whole list. */
const PATIENCE = 30_000
const METHOD_NOT_FOUND = -32601

export interface Listing {
  /** The first page without its cursor: whatever else it holds is kept. */
  readonly frame: JsonObject
  readonly items: readonly JsonObject[]
}

/** Where a list comes from: the method, and the member of its result that holds the items. */
export interface ListSource {
  readonly method: string
  readonly member: string
}

/**
 * All items of a list. A server that does not know the method has an empty list. Throws `UnavailableError` for anything
 * that is not a list of objects, for a cursor that comes back, and past the bounds on pages, items and time.
 */
export async function readAllPages(connection: UpstreamConnection, { method, member }: ListSource): Promise<Listing> {
  const signal = AbortSignal.timeout(PATIENCE)
  const items: JsonObject[] = []
  const cursors = new Set<string>()
  let frame: JsonObject = {}
  for (let cursor: string | undefined, page = 0; page < PAGES; page += 1) {
    const params = cursor === undefined ? {} : { cursor }
    const answer = await connection.call({ method, params }, { signal })
    if (answer.member === 'error') {
      if (page === 0 && answer.value['code'] === METHOD_NOT_FOUND) return { frame, items }
      throw new UnavailableError(`the tool server refused \`${method}\``)
    }
    const { [member]: list, nextCursor, ...rest } = answer.value
    if (page === 0) frame = rest
    items.push(...toItems(list, method))
    cursor = toCursor(nextCursor, cursors)
    if (items.length > ITEMS) break
    if (cursor === undefined) return { frame, items }
  }
  throw new UnavailableError(`the list of \`${method}\` is longer than is taken`)
}

function toItems(list: Json | undefined, method: string): readonly JsonObject[] {
  if (Array.isArray(list) && list.every((item) => isJsonObject(item))) return list
  throw new UnavailableError(`the answer to \`${method}\` is not a list`)
}

function toCursor(value: Json | undefined, seen: Set<string>): string | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'string' || seen.has(value)) throw new UnavailableError('the cursor of a list is not usable')
  seen.add(value)
  return value
}
