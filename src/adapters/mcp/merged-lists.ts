/**
 * @module
 * Lists of several servers as one. A name of one place is qualified by its server, `orders__query`; what would be called alike is
 * left out, all of it, because either may be meant.
 */
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'

const BETWEEN = '__'

/** The name under which a tool or prompt of a server is known on the one endpoint. */
export function toQualified(upstream: string, name: string): string {
  return `${upstream}${BETWEEN}${name}`
}

export interface Place {
  readonly upstream: string
  readonly name: string
}

/** Where a qualified name leads; undefined where it leads nowhere, or to more than one place. */
export function findPlace(upstreams: readonly string[], qualified: string): Place | undefined {
  const found = upstreams.filter((upstream) => qualified.startsWith(`${upstream}${BETWEEN}`))
  const [upstream] = found
  if (upstream === undefined || found.length > 1) return undefined
  const name = qualified.slice(upstream.length + BETWEEN.length)
  return name === '' ? undefined : { upstream, name }
}

export interface Merged {
  readonly items: readonly JsonObject[]
  /** What was left out because it collided, as it would have been called. */
  readonly collided: readonly string[]
}

/** The answers of servers to a list, in their order. `member` holds the items; `key` is what they are called by. */
export function mergeLists(
  answers: readonly { readonly upstream: string; readonly result: JsonObject }[],
  { member, key, isQualified }: { readonly member: string; readonly key: string; readonly isQualified: boolean },
  upstreams: readonly string[],
): Merged {
  const all = answers.flatMap(({ upstream, result }) =>
    itemsOf(result[member]).map((item) => {
      const name = item[key]
      if (typeof name !== 'string') return undefined
      const called = isQualified ? toQualified(upstream, name) : name
      return { called, item: { ...item, [key]: called } }
    }),
  )
  const found = all.filter((each) => each !== undefined)
  const counts = Map.groupBy(found, ({ called }) => called)
  // A name that could as well be read as one of another server is as bad as one that is there twice.
  const isSole = (called: string): boolean =>
    counts.get(called)?.length === 1 && (!isQualified || findPlace(upstreams, called) !== undefined)
  const collided = [...counts.keys()].filter((called) => !isSole(called))
  return { items: found.filter(({ called }) => isSole(called)).map(({ item }) => item), collided }
}

function itemsOf(value: Json | undefined): readonly JsonObject[] {
  const items: readonly Json[] = Array.isArray(value) ? value : []
  return items.filter((item) => isJsonObject(item))
}
