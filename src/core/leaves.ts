/**
 * @module
 * Takes outputs and arguments apart into leaves. JSON that stands in a text is taken apart too, because that is how most
 * tool servers send rows (`content[].text` of an MCP result).
 */
import { isJsonObject, type Json, type JsonObject } from './json.ts'

/** One leaf of an output. */
export interface OutputLeaf {
  /** Segments as in `output-label.ts`. */
  readonly path: readonly string[]
  readonly text: string
  /** True for the name of a member rather than its value. */
  readonly key: boolean
  /** The places of the texts that this leaf's JSON stood in: it is no better than they are. */
  readonly floor?: readonly (readonly string[])[]
  /** True when what is here was nested too deeply to be taken apart. */
  readonly cut: boolean
}

const MAX_DEPTH = 64
/** JSON in a text in JSON in a text: deeper than this it is only text. */
const MAX_NESTED = 3

interface Place {
  readonly path: readonly string[]
  readonly floor: readonly (readonly string[])[]
  readonly depth: number
}

/**
 * Every leaf of an output, member names included. The result of an MCP call is read at its `content` and
 * `structuredContent`: paths begin within them. Never throws, whatever the output holds.
 */
export function* leavesOf(value: Json): Generator<OutputLeaf> {
  const root: Place = { path: [], floor: [], depth: 0 }
  if (!isJsonObject(value) || !(Array.isArray(value['content']) || 'structuredContent' in value)) {
    yield* typeof value === 'string' ? walkText(value, root) : walk(value, root)
    return
  }
  const { content, structuredContent, ...rest } = value
  if (structuredContent !== undefined) yield* walk(structuredContent, root)
  yield* walk(rest, root)
  for (const block of Array.isArray(content) ? content : []) yield* walkBlock(block)
}

function* walkBlock(block: Json): Generator<OutputLeaf> {
  const place: Place = { path: ['content', '[]'], floor: [], depth: 0 }
  if (!isJsonObject(block) || typeof block['text'] !== 'string') {
    yield* walk(block, place)
    return
  }
  const { text, type: _type, ...rest } = block
  const parsed = parseNested(text)
  if (parsed === undefined) yield toLeaf(text, { ...place, path: [...place.path, 'text'] })
  else yield* walk(parsed, { path: [], floor: [], depth: 0 })
  yield* walk(rest, place)
}

function* walkText(text: string, place: Place): Generator<OutputLeaf> {
  const parsed = place.floor.length < MAX_NESTED ? parseNested(text) : undefined
  if (parsed === undefined) yield toLeaf(text, place)
  // At the root the text is the output itself; further in, its JSON is no better than the place that it stands in.
  else
    yield* walk(parsed, {
      path: [],
      floor: place.depth === 0 ? [] : [...place.floor, place.path],
      depth: place.depth + 1,
    })
}

function* walk(value: Json, place: Place): Generator<OutputLeaf> {
  if (place.depth > MAX_DEPTH) {
    yield { ...toLeaf('', place), cut: true }
  } else if (typeof value === 'string') {
    yield* walkText(value, { ...place, depth: Math.max(1, place.depth) })
  } else if (typeof value === 'number') {
    yield toLeaf(String(value), place)
  } else if (Array.isArray(value)) {
    for (const element of value) yield* walk(element, step(place, '[]'))
  } else if (isJsonObject(value)) {
    for (const [name, member] of Object.entries(value)) {
      yield { ...toLeaf(name, step(place, name)), key: true }
      if (member !== undefined) yield* walk(member, step(place, name))
    }
  }
}

function step(place: Place, segment: string): Place {
  return { ...place, path: [...place.path, segment], depth: place.depth + 1 }
}

function toLeaf(text: string, { path, floor }: Place): OutputLeaf {
  return { path, text, key: false, cut: false, ...(floor.length === 0 ? {} : { floor }) }
}

function parseNested(text: string): Json | undefined {
  const start = text.trimStart().charAt(0)
  if (start !== '{' && start !== '[') return undefined
  try {
    const parsed: Json = JSON.parse(text)
    return parsed
  } catch {
    return undefined
  }
}

/** One leaf of the arguments, or a member name that is itself an address. */
export interface ArgumentLeaf {
  /** RFC 6901. */
  readonly pointer: string
  /** Unescaped. */
  readonly segments: readonly string[]
  readonly value: string | number | boolean
}

/**
 * The leaves of the arguments, at most `limit` and then `undefined` once for the rest. `null` and the empty string carry
 * nothing and are left out. Member names below the first level count as leaves where `isTelling` says so.
 */
export function* argumentLeavesOf(
  value: JsonObject,
  limit: number,
  isTelling: (name: string) => boolean,
): Generator<ArgumentLeaf | undefined> {
  const open: { readonly value: Json; readonly segments: readonly string[] }[] = [{ value, segments: [] }]
  let left = limit
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const leaf of namedLeaf(next.segments, next.value, isTelling)) {
      left -= 1
      yield left < 0 ? undefined : leaf
      if (left < 0) return
    }
    if (next.segments.length > MAX_DEPTH) {
      yield undefined
      return
    }
    for (const [name, member] of membersOf(next.value)) open.push({ value: member, segments: [...next.segments, name] })
  }
}

function namedLeaf(segments: readonly string[], value: Json, isTelling: (name: string) => boolean): ArgumentLeaf[] {
  const pointer = segments.map((segment) => `/${segment.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
  const name = segments.at(-1)
  const leaves: ArgumentLeaf[] = []
  if (segments.length > 1 && name !== undefined && !/^\d{1,6}$/.test(name) && isTelling(name)) {
    leaves.push({ pointer, segments, value: name })
  }
  const isScalar = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
  if (isScalar && value !== '') leaves.push({ pointer, segments, value })
  return leaves
}

// In reverse, because the last one pushed is the first one taken.
function membersOf(value: Json): [string, Json][] {
  if (Array.isArray(value))
    return value.map((element: Json, index): [string, Json] => [String(index), element]).toReversed()
  if (!isJsonObject(value)) return []
  return Object.entries(value)
    .flatMap(([name, member]): [string, Json][] => (member === undefined ? [] : [[name, member]]))
    .toReversed()
}

/** What stands at a pointer; undefined where nothing does. */
export function pointTo(value: Json, pointer: string): Json | undefined {
  let found: Json | undefined = value
  for (const segment of pointer.split('/').slice(1)) {
    const name = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(found)) found = found[Number(name)]
    else found = isJsonObject(found) && Object.hasOwn(found, name) ? found[name] : undefined
  }
  return found
}
