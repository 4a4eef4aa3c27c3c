/**
 * @module
 * Guesses what a tool does from its words, for a person to confirm. A stranger's words may raise what is assumed, never lower
 * it: a description can add an effect to a name, an annotation can add one to both, and what gives no hint is the worst.
 */
import { isJsonObject, type ArgumentRole, type EffectKind, type EffectRule, type JsonObject } from '../../index.ts'
import type { Guess } from './guess-role.ts'
import { EFFECT_WORDS, isForm, NOUNS_TOO, READ_NOUNS, toWords, verbsOf } from './guess-words.ts'

interface Clue {
  readonly kind: EffectKind
  readonly from: string
  readonly word: string
}

/** The effect of a tool. `common` are words that all tools of the server have in their names: those say nothing. */
export function guessEffect(
  descriptor: JsonObject,
  roles: ReadonlyMap<string, Guess<ArgumentRole>>,
  common: ReadonlySet<string> = new Set(),
): Guess<EffectRule> {
  const sql = findSqlArgument(descriptor, roles)
  if (sql !== undefined) {
    return { value: { from: 'sql', argument: sql }, why: `computed from the SQL in \`${sql}\` at each call` }
  }
  const name = nameClues(descriptor, common)
  const others = [...textClues(descriptor), ...annotationClues(descriptor), ...roleClues(roles)]
  return name.length === 0 ? assume(others) : toGuess([...name, ...others])
}

function toGuess(clues: readonly Clue[]): Guess<EffectRule> {
  const kinds = EFFECT_WORDS.map(([kind]) => kind).filter((kind) => clues.some((clue) => clue.kind === kind))
  const raised = kinds.length > 1 ? kinds.filter((kind) => kind !== 'read') : kinds
  const [first = 'execute'] = raised
  return { value: raised.length === 1 ? first : raised, why: toWhy(clues.filter(({ kind }) => raised.includes(kind))) }
}

/** `execute` stands for everything that could happen here; what reaches out, pays or administers is said beside it. */
function assume(others: readonly Clue[]): Guess<EffectRule> {
  const beside = others.filter(({ kind }) => kind === 'send' || kind === 'spend' || kind === 'admin')
  const { value } = toGuess([...beside, { kind: 'execute', from: '', word: '' }])
  const hints = toWhy(others)
  const why = `UNDETERMINED: no word of its name is known, so that anything is assumed${hints === '' ? '' : `; ${hints}`}`
  return { value, why, assumed: true }
}

function toWhy(clues: readonly Clue[]): string {
  const seen = new Map(clues.map((clue) => [`${clue.kind}: ${clue.from}`, clue]))
  return [...seen.values()].map(({ kind, from, word }) => `${kind}: ${from} \`${word}\``).join('; ')
}

function nameClues({ name, description }: JsonObject, common: ReadonlySet<string>): readonly Clue[] {
  if (typeof name !== 'string') return []
  const words = toWords(name).filter((word) => !common.has(word))
  // In `get_comments` the word is a thing; in `add_comment` it says what comes of it.
  const isReading = kindsOf(words[0] ?? '').join() === 'read'
  const found = words
    .filter((word, index) => index === 0 || !isReading || !isNounToo(word))
    .flatMap((word) => kindsOf(word).map((kind): Clue => ({ kind, from: 'its name says', word })))
  if (found.length > 0) return found
  const [last = ''] = words.toReversed()
  const isShown = READ_NOUNS.includes(last) && typeof description === 'string' && startsWithRead(description)
  return isShown ? [{ kind: 'read', from: 'its name and the start of its description say', word: last }] : []
}

function isNounToo(word: string): boolean {
  return NOUNS_TOO.some((noun) => isForm(word, noun))
}

function startsWithRead(description: string): boolean {
  const [first = ''] = toWords(description)
  return kindsOf(first).includes('read')
}

function kindsOf(word: string): readonly EffectKind[] {
  return EFFECT_WORDS.flatMap(([kind, bases]) => (bases.some((base) => isForm(word, base)) ? [kind] : []))
}

/** What a title and a description say that it does, where a verb stands; that it reads is of no weight. */
function textClues({ title, description }: JsonObject): readonly Clue[] {
  const texts = [
    ['its title says', title],
    ['its description says', description],
  ] as const
  return texts.flatMap(([from, text]) => {
    const verbs = typeof text === 'string' ? verbsOf(text) : []
    return verbs
      .filter((word, index) => index === 0 || !isNounToo(word))
      .flatMap((word) =>
        kindsOf(word)
          .filter((kind) => kind !== 'read')
          .map((kind): Clue => ({ kind, from, word })),
      )
  })
}

/** `readOnlyHint: true` and the like are left out on purpose: a hint of a stranger never lowers. */
function annotationClues({ annotations }: JsonObject): readonly Clue[] {
  if (!isJsonObject(annotations)) return []
  const from = 'the server annotates'
  const clues: Clue[] = []
  if (annotations['readOnlyHint'] === false) clues.push({ kind: 'write', from, word: 'readOnlyHint: false' })
  if (annotations['destructiveHint'] === true) clues.push({ kind: 'delete', from, word: 'destructiveHint: true' })
  if (annotations['openWorldHint'] === true) clues.push({ kind: 'send', from, word: 'openWorldHint: true' })
  return clues
}

const ROLE_EFFECTS: readonly (readonly [ArgumentRole, EffectKind])[] = [
  ['recipient', 'send'],
  ['destination', 'send'],
  ['amount', 'spend'],
  ['command', 'execute'],
]

function roleClues(roles: ReadonlyMap<string, Guess<ArgumentRole>>): readonly Clue[] {
  const told = [...roles].filter(([, { assumed }]) => assumed !== true)
  const found = new Map(told.toReversed().map(([name, { value }]) => [value, name]))
  return ROLE_EFFECTS.flatMap(([role, kind]) => {
    const name = found.get(role)
    return name === undefined ? [] : [{ kind, from: `it takes a ${role},`, word: name }]
  })
}

/** An argument named `sql`, or a `query` or `statement` of a tool that speaks of SQL. */
function findSqlArgument(descriptor: JsonObject, roles: ReadonlyMap<string, unknown>): string | undefined {
  const { name, description } = descriptor
  const words = toWords(`${typeof name === 'string' ? name : ''} ${typeof description === 'string' ? description : ''}`)
  const names = words.includes('sql') ? ['sql', 'query', 'statement'] : ['sql']
  return [...roles.keys()].find((argument) => names.includes(argument.toLowerCase()))
}
