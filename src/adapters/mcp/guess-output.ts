/**
 * @module
 * Guesses how far the output of a tool can be trusted and how confidential it is, down to the fields that its output schema
 * names. Nothing lowers the worst case by itself; what is found tells a person where to look.
 */
import { isJsonObject, type Json, type JsonObject, type Label } from '../../index.ts'
import { isForm, toWords } from './guess-words.ts'

export interface OutputGuess {
  readonly value: Label & { readonly fields?: Readonly<Record<string, Partial<Label>>> }
  readonly why: string
  /** Reason by path of a field. */
  readonly fields: readonly (readonly [path: string, why: string])[]
}

const split = (text: string): readonly string[] => text.split(' ')

/** What holds keys to other things. A word is enough to keep it from every agent that may send. */
const SECRET = split(
  'password passwd passphrase secret token credential apikey env environment cookie authorization private',
)
/** What others write: text that reaches a model as if it were said to it. */
const WRITTEN = split(
  'web page url site html crawl scrape search message mail email comment issue review thread post chat channel document file note ticket pull request transcript',
)
const TEXT_FIELDS = split('text body content note comment message description title subject summary name html markdown')
const MOST_FIELDS = 40
const DEEPEST = 5

/** The label of the output of a tool. */
export function guessOutput(descriptor: JsonObject): OutputGuess {
  const { name, description, outputSchema } = descriptor
  const words = toWords(`${typeof name === 'string' ? name : ''} ${typeof description === 'string' ? description : ''}`)
  const secret = toWords(typeof name === 'string' ? name : '').find((word) => has(SECRET, word))
  const written = words.find((word) => has(WRITTEN, word))
  const fields = fieldsOf(outputSchema)
  const trust =
    written === undefined
      ? 'nothing tells who can write what it returns, so that the worst is assumed'
      : `it speaks of \`${written}\`: others may write what it returns`
  const confidentiality = secret === undefined ? '' : `; its name says \`${secret}\``
  const value: OutputGuess['value'] = {
    trust: 'attacker-writable',
    confidentiality: secret === undefined ? 'confidential' : 'secret',
    ...(fields.length === 0 ? {} : { fields: Object.fromEntries(fields.map(({ path, label }) => [path, label])) }),
  }
  return { value, why: `${trust}${confidentiality}`, fields: fields.map(({ path, why }) => [path, why]) }
}

interface Field {
  readonly path: string
  readonly label: Partial<Label>
  readonly why: string
}

/** Fields that need a label of their own, whatever a person makes of the rest: secrets, and texts that anybody wrote. */
function fieldsOf(schema: Json | undefined): readonly Field[] {
  const found: Field[] = []
  walk(schema, '', 0, (path, name, member) => {
    const words = toWords(name)
    const secret = words.find((word) => has(SECRET, word))
    const text = words.find((word) => TEXT_FIELDS.includes(word))
    const isText = isJsonObject(member) && member['type'] === 'string' && member['enum'] === undefined
    if (found.length >= MOST_FIELDS) return
    if (secret !== undefined)
      found.push({ path, label: { confidentiality: 'secret' }, why: `its name says \`${secret}\`` })
    else if (isText && text !== undefined)
      found.push({
        path,
        label: { trust: 'attacker-writable' },
        why: 'a text; keep this when the rest is better than that',
      })
  })
  return found
}

type Visit = (path: string, name: string, member: Json | undefined) => void

function walk(schema: Json | undefined, path: string, depth: number, visit: Visit): void {
  if (!isJsonObject(schema) || depth > DEEPEST) return
  walk(schema['items'], `${path}[]`, depth + 1, visit)
  const { properties } = schema
  if (!isJsonObject(properties)) return
  for (const [name, member] of Object.entries(properties)) {
    // A path is made of dots and brackets; a name that holds them cannot be said in one.
    if (/[.[\]*]/u.test(name)) continue
    const here = path === '' ? name : `${path}.${name}`
    visit(here, name, member)
    walk(member, here, depth + 1, visit)
  }
}

function has(known: readonly string[], word: string): boolean {
  return known.some((base) => isForm(word, base))
}
