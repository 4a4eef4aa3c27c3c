/**
 * @module
 * Guesses what an argument decides, from its name and its schema, down to the members of what it holds. What gives no hint is
 * a destination, the gravest.
 */
import { isJsonObject, type ArgumentRole, type Json, type JsonObject } from '../../index.ts'
import { CONTENT_WORDS, FORMATS, isForm, ROLE_WORDS, SELECTOR_WORDS, toWords } from './guess-words.ts'

export interface Guess<T> {
  readonly value: T
  /** Why, for the person; quotes words of the descriptor. */
  readonly why: string
  /** True when nothing told it and the gravest stands in: then nothing else is concluded from it. */
  readonly assumed?: true
}

/** How deep members of arguments are described, and how many of them in all. */
const [DEEPEST, MOST] = [3, 200]

/** The roles of all arguments by path, as `roleOf` reads it. A member whose guess is that of what holds it is left out. */
export function guessRoles(inputSchema: Json | undefined): ReadonlyMap<string, Guess<ArgumentRole>> {
  const found = new Map<string, Guess<ArgumentRole>>()
  for (const [name, schema] of membersOf(inputSchema)) {
    const guess = guessRole(name, schema)
    found.set(name, guess)
    addMembers(found, name, schema, guess, 1)
  }
  return found
}

function addMembers(
  found: Map<string, Guess<ArgumentRole>>,
  path: string,
  schema: Json | undefined,
  outer: Guess<ArgumentRole>,
  depth: number,
): void {
  const items = isJsonObject(schema) ? schema['items'] : undefined
  const [inner, at] = isJsonObject(items) ? [items, `${path}/*`] : [schema, path]
  for (const [name, member] of membersOf(inner)) {
    const guess = guessRole(name, member)
    // The name of a member may hold what a path is made of.
    if (found.size >= MOST || depth > DEEPEST || /[/~*]/u.test(name)) return
    const here = `${at}/${name}`
    if (guess.assumed !== true && (guess.value !== outer.value || outer.assumed === true)) found.set(here, guess)
    addMembers(found, here, member, guess.assumed === true ? outer : guess, depth + 1)
  }
}

function membersOf(schema: Json | undefined): readonly (readonly [string, Json | undefined])[] {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined
  return isJsonObject(properties) ? Object.entries(properties) : []
}

/** The role of one argument of a tool. `schema` is what the descriptor says of it. */
export function guessRole(name: string, schema: Json | undefined): Guess<ArgumentRole> {
  const given = isJsonObject(schema) ? schema : {}
  return byClosedValue(given) ?? byGraveWord(name) ?? byFormat(given) ?? byOtherWord(name) ?? UNTOLD
}

const UNTOLD: Guess<ArgumentRole> = {
  value: 'destination',
  why: 'UNDETERMINED: nothing tells what it decides, so that the gravest is assumed',
  assumed: true,
}

/** A value of a closed set, a switch or a number names nothing that an attacker could choose, but for amounts. */
function byClosedValue(schema: JsonObject): Guess<ArgumentRole> | undefined {
  const { enum: values } = schema
  if (Array.isArray(values)) return { value: 'selector', why: `it is one of ${values.length} values` }
  return schema['const'] === undefined && typesOf(schema).join() !== 'boolean'
    ? undefined
    : { value: 'selector', why: 'it is a switch' }
}

function byGraveWord(name: string): Guess<ArgumentRole> | undefined {
  const words = toWords(name)
  const joined = words.join('')
  if (/^(?:to|sendto|mailto)$/u.test(joined) || (words[0] === 'to' && words.length > 1))
    return { value: 'recipient', why: 'its name says `to`' }
  if (/(?:api|access|secret|private|auth|signing)keys?$/u.test(joined))
    return { value: 'credential', why: 'its name says `key`' }

  for (const [role, known] of ROLE_WORDS) {
    const word = words.find((each) => known.some((base) => isForm(each, base)))
    if (word !== undefined) return { value: role, why: `its name says \`${word}\`` }
  }
  return undefined
}

function byFormat(schema: JsonObject): Guess<ArgumentRole> | undefined {
  const { format } = schema
  const known = typeof format === 'string' ? format : ''
  const role = FORMATS.get(known)
  if (role !== undefined) return { value: role, why: `its format is \`${known}\`` }
  const types = typesOf(schema)
  const isNumber = types.length > 0 && types.every((type) => type === 'integer' || type === 'number')
  return isNumber ? { value: 'selector', why: 'it is a number' } : undefined
}

function byOtherWord(name: string): Guess<ArgumentRole> | undefined {
  const words = toWords(name)
  const last = words.at(-1) ?? ''
  const find = (known: readonly string[]): string | undefined =>
    words.find((word) => known.some((base) => isForm(word, base)))
  if (SELECTOR_WORDS.some((base) => isForm(last, base)))
    return { value: 'selector', why: `its name ends in \`${last}\`` }
  const content = find(CONTENT_WORDS)
  if (content !== undefined) return { value: 'content', why: `its name says \`${content}\`` }
  const selector = find(SELECTOR_WORDS)
  return selector === undefined ? undefined : { value: 'selector', why: `its name says \`${selector}\`` }
}

/** The types that a value may have, but null; of `anyOf` and `oneOf` too. */
function typesOf(schema: JsonObject): readonly string[] {
  const { type, anyOf, oneOf } = schema
  const own = (Array.isArray(type) ? type : [type]).filter((each) => typeof each === 'string')
  const branches = [anyOf, oneOf].flatMap((each) => (Array.isArray(each) ? each : []))
  const inner = branches.flatMap((branch) => (isJsonObject(branch) ? typesOf(branch) : ['unknown']))
  return [...new Set([...own, ...inner])].filter((each) => each !== 'null')
}
