/**
 * @module
 * Guesses about a tool from its words, for a person to confirm. A stranger's words may raise what is assumed, never lower
 * it: a description can add an effect to a name, an annotation can add one to both, and what gives no hint is the worst.
 */
import {
  isJsonObject,
  type ArgumentRole,
  type EffectKind,
  type EffectRule,
  type Json,
  type JsonObject,
} from '../../index.ts'

export interface Guess<T> {
  readonly value: T
  /** Why, for the person; quotes words of the descriptor. */
  readonly why: string
  /** True when nothing told it and the gravest stands in: then nothing else is concluded from it. */
  readonly assumed?: true
}

/** Words that give an effect away, base form. The order is that of the lattice. */
const EFFECT_WORDS: readonly (readonly [EffectKind, readonly string[]])[] = [
  [
    'read',
    'get list read search find query fetch describe show view lookup count status retrieve select inspect echo'.split(
      ' ',
    ),
  ],
  [
    'write',
    'write create add update set edit insert put save upsert append move rename upload patch modify change replace copy store import mkdir'.split(
      ' ',
    ),
  ],
  ['delete', 'delete remove drop purge destroy truncate clear erase wipe cancel revoke archive'.split(' ')],
  [
    'send',
    'send email mail sms publish share forward reply invite tweet notify broadcast webhook upload export sync push comment'.split(
      ' ',
    ),
  ],
  ['spend', 'pay purchase buy transfer refund charge checkout invoice withdraw deposit payout'.split(' ')],
  ['execute', 'run exec execute eval evaluate script shell bash command deploy launch spawn invoke install'.split(' ')],
  ['admin', 'grant permission permissions role roles admin configure enable disable rotate impersonate'.split(' ')],
]

/** Words of an argument's name that give its role away. The first row that matches wins: the gravest come first. */
const ROLE_WORDS: readonly (readonly [ArgumentRole, readonly string[]])[] = [
  ['credential', 'password passwd passphrase secret token credential credentials apikey key authorization'.split(' ')],
  ['command', 'sql command cmd code script expression statement shell eval'.split(' ')],
  ['recipient', 'to cc bcc recipient recipients email emails mail phone invitee assignee reviewers'.split(' ')],
  [
    'destination',
    'url urls uri host hostname endpoint webhook address domain channel destination target bucket callback origin server'.split(
      ' ',
    ),
  ],
  ['amount', 'amount price quantity cost fee budget'.split(' ')],
]
const CONTENT_WORDS = 'body text content contents message subject title description note notes comment summary'.split(
  ' ',
)
const SELECTOR_WORDS =
  'id ids path paths query name filter limit offset page cursor table column field index number date from until since sort order by type state owner repo branch sha uuid pattern'.split(
    ' ',
  )
const FORMATS: ReadonlyMap<string, ArgumentRole> = new Map([
  ['email', 'recipient'],
  ['idn-email', 'recipient'],
  ['uri', 'destination'],
  ['url', 'destination'],
  ['iri', 'destination'],
  ['uri-reference', 'destination'],
  ['hostname', 'destination'],
  ['ipv4', 'destination'],
  ['ipv6', 'destination'],
])

/** The words of an identifier or sentence, in lower case: `sendEmail_to` is `send`, `email`, `to`. */
function toWords(text: string): readonly string[] {
  const spaced = text.replace(/([a-z\d])([A-Z])/gu, '$1 $2')
  return spaced
    .toLowerCase()
    .split(/[^a-z\d]+/u)
    .filter((word) => word !== '')
}

function isForm(word: string, base: string): boolean {
  return word === base || word === `${base}s` || word === `${base}es`
}

/** The role of one argument of a tool. `schema` is what the descriptor says of it. */
export function guessRole(name: string, schema: Json | undefined): Guess<ArgumentRole> {
  const words = toWords(name)
  const format = isJsonObject(schema) && typeof schema['format'] === 'string' ? schema['format'] : ''
  for (const [role, known] of ROLE_WORDS) {
    const word = words.find((each) => known.includes(each))
    if (word !== undefined) return { value: role, why: `its name says \`${word}\`` }
  }
  const byFormat = FORMATS.get(format)
  if (byFormat !== undefined) return { value: byFormat, why: `its format is \`${format}\`` }
  const type = isJsonObject(schema) ? schema['type'] : undefined
  if (type === 'boolean' || type === 'integer' || type === 'number')
    return { value: 'selector', why: `it is ${type === 'integer' ? 'an' : 'a'} ${type}` }
  const last = words.at(-1) ?? ''
  if (SELECTOR_WORDS.includes(last)) return { value: 'selector', why: `its name ends in \`${last}\`` }
  const content = words.find((each) => CONTENT_WORDS.includes(each))
  if (content !== undefined) return { value: 'content', why: `its name says \`${content}\`` }
  const selector = words.find((each) => SELECTOR_WORDS.includes(each))
  if (selector !== undefined) return { value: 'selector', why: `its name says \`${selector}\`` }
  return { value: 'destination', why: 'nothing tells what it decides, so that the gravest is assumed', assumed: true }
}

/** The effect of a tool, from its name, description, annotations and the roles of its arguments. */
export function guessEffect(
  descriptor: JsonObject,
  roles: ReadonlyMap<string, Guess<ArgumentRole>>,
): Guess<EffectRule> {
  const sql = findSqlArgument(descriptor, roles)
  if (sql !== undefined) {
    return { value: { from: 'sql', argument: sql }, why: `computed from the SQL in \`${sql}\` at each call` }
  }
  const clues = [...wordClues(descriptor), ...annotationClues(descriptor), ...roleClues(roles)]
  const hasName = clues.some(({ from }) => from === 'its name')
  if (!hasName) clues.push({ kind: 'execute', from: 'nothing in its name', word: 'that is known' })
  const kinds = EFFECT_WORDS.map(([kind]) => kind).filter((kind) => clues.some((clue) => clue.kind === kind))
  const raised = kinds.length > 1 ? kinds.filter((kind) => kind !== 'read') : kinds
  const why = clues.map(({ kind, from, word }) => `${kind}: ${from} says \`${word}\``).join('; ')
  return { value: raised.length === 1 ? (raised[0] ?? 'execute') : raised, why }
}

interface Clue {
  readonly kind: EffectKind
  readonly from: string
  readonly word: string
}

function wordClues(descriptor: JsonObject): Clue[] {
  const texts: readonly (readonly [string, Json | undefined])[] = [
    ['its name', descriptor['name']],
    ['its title', descriptor['title']],
    ['its description', descriptor['description']],
  ]
  return texts.flatMap(([from, text]) => (typeof text === 'string' ? clueOf(from, toWords(text)) : []))
}

function clueOf(from: string, words: readonly string[]): readonly Clue[] {
  return EFFECT_WORDS.flatMap(([kind, bases]) => {
    const word = words.find((each) => bases.some((base) => isForm(each, base)))
    return word === undefined ? [] : [{ kind, from, word }]
  })
}

/** `readOnlyHint: true` and the like are left out on purpose: a hint of a stranger never lowers. */
function annotationClues({ annotations }: JsonObject): readonly Clue[] {
  if (!isJsonObject(annotations)) return []
  const from = 'an annotation'
  const clues: Clue[] = []
  if (annotations['readOnlyHint'] === false) clues.push({ kind: 'write', from, word: 'readOnlyHint: false' })
  if (annotations['destructiveHint'] === true) clues.push({ kind: 'delete', from, word: 'destructiveHint: true' })
  if (annotations['openWorldHint'] === true) clues.push({ kind: 'send', from, word: 'openWorldHint: true' })
  return clues
}

function roleClues(roles: ReadonlyMap<string, Guess<ArgumentRole>>): readonly Clue[] {
  const told = [...roles].filter(([, { assumed }]) => assumed !== true)
  const found = new Map(told.map(([name, { value }]) => [value, name]))
  const clue = (role: ArgumentRole, kind: EffectKind): readonly Clue[] => {
    const name = found.get(role)
    return name === undefined ? [] : [{ kind, from: `the role ${role} of an argument`, word: name }]
  }
  return [
    ...clue('recipient', 'send'),
    ...clue('destination', 'send'),
    ...clue('amount', 'spend'),
    ...clue('command', 'execute'),
  ]
}

/** An argument named `sql`, or a `query` or `statement` of a tool that speaks of SQL. */
function findSqlArgument(descriptor: JsonObject, roles: ReadonlyMap<string, unknown>): string | undefined {
  const { name, description } = descriptor
  const words = toWords(`${typeof name === 'string' ? name : ''} ${typeof description === 'string' ? description : ''}`)
  const names = words.includes('sql') ? ['sql', 'query', 'statement'] : ['sql']
  return [...roles.keys()].find((argument) => names.includes(argument.toLowerCase()))
}
