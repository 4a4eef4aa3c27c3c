/**
 * @module
 * What a person should look at twice before they accept a tool: what cannot be seen, what looks like something else, and what
 * speaks to the model instead of describing. Finds the known tricks; silence is no proof of good intent.
 */
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'
import { toWords } from './guess-words.ts'

const LONG = 4_000
const [MOST_NODES, DEEPEST] = [20_000, 64]

/** Characters that nobody sees: format, control, tags, variation selectors, private use, blank letters. */
const HIDDEN =
  /\p{Cf}|\p{Co}|\p{Cn}|\u{115f}|\u{1160}|\u{3164}|\u{ffa0}|[\u{fe00}-\u{fe0e}]|[\u{e0000}-\u{e0fff}]|(?![\n\r\t])\p{Cc}/gu
const SPEAKS: readonly RegExp[] = [
  /\bignore (?:all|any|the|previous|prior|other)\b/iu,
  /\bdo not (?:tell|mention|inform|reveal|ask|show)\b/iu,
  /\b(?:system prompt|previous instructions|other tools?'?s?)\b/iu,
  /\b(?:before|after|whenever|every time) (?:you )?(?:using|calling|use|call) (?:any|other|another|every|all)\b/iu,
  /<\/?(?:important|system|instructions?|secret)\b/iu,
]
const PLACES = /(?:~\/|\.ssh\b|id_rsa|\.env\b|\.aws\b|mcp\.json|credentials\.json|\/etc\/passwd)/iu

/** What is suspicious about one tool, in words for a person; empty when nothing is. */
export function findSuspicions(descriptor: JsonObject): readonly string[] {
  const { name, description } = descriptor
  const seen = textsOf(descriptor)
  const texts = seen.texts.map((text) => text.replaceAll(HIDDEN, ''))
  const spoken = SPEAKS.flatMap((pattern) => texts.flatMap((text) => pattern.exec(text)?.[0] ?? []))
  const places = texts.flatMap((text) => PLACES.exec(text)?.[0] ?? [])
  const hidden = seen.texts.flatMap((text) => text.match(HIDDEN) ?? [])
  return [
    ...(hidden.length === 0 ? [] : [`holds ${hidden.length} characters that cannot be seen: ${toCodes(hidden)}`]),
    ...(typeof name === 'string' && !/^[\x21-\x7e]+$/u.test(name)
      ? ['its name holds characters that may pass for others']
      : []),
    ...[...new Set(spoken)].map((words) => `speaks to the model: \`${words}\``),
    ...[...new Set(places)].map((place) => `speaks of \`${place}\``),
    ...(typeof description === 'string' && description.length > LONG
      ? [`its description has ${description.length} characters`]
      : []),
    ...(seen.isCut ? ['its schema is too deep or too large to be read'] : []),
    ...(seen.refs.some((ref) => !ref.startsWith('#')) ? ['its schema takes parts from elsewhere (`$ref`)'] : []),
  ]
}

function toCodes(hidden: readonly string[]): string {
  const codes = [...new Set(hidden)].slice(0, 5).map((char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`)
  return codes.join(' ')
}

interface Seen {
  readonly texts: string[]
  readonly refs: string[]
  isCut: boolean
}

/** Every text of a descriptor, names of members too; without recursion, so that depth costs nothing. */
function textsOf(descriptor: JsonObject): Seen {
  const seen: Seen = { texts: [], refs: [], isCut: false }
  const open: { readonly value: Json | undefined; readonly depth: number }[] = [{ value: descriptor, depth: 0 }]
  for (let count = 0; open.length > 0; count += 1) {
    const next = open.pop()
    if (next === undefined || count > MOST_NODES || next.depth > DEEPEST) {
      seen.isCut = true
      return seen
    }
    const { value, depth } = next
    if (typeof value === 'string') seen.texts.push(value)
    else if (Array.isArray(value)) for (const each of value) open.push({ value: each, depth: depth + 1 })
    else if (isJsonObject(value)) {
      const { $ref: ref } = value
      if (typeof ref === 'string') seen.refs.push(ref)
      for (const [key, each] of Object.entries(value)) {
        seen.texts.push(key)
        open.push({ value: each, depth: depth + 1 })
      }
    }
  }
  return seen
}

/** Names that a person or a model could take for one another, in groups. */
export function findLookAlikes(names: readonly string[]): readonly (readonly string[])[] {
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const skeleton = toSkeleton(name)
    groups.set(skeleton, [...(groups.get(skeleton) ?? []), name])
  }
  return [...groups.values()].filter((group) => group.length > 1)
}

/** Letters of other alphabets that look like one of ours (the commonest of Unicode TR39). */
const CONFUSABLE: ReadonlyMap<string, string> = new Map(
  'аa еe оo рp сc хx уy іi ѕs ԁd ɡg ʟl нh кk мm тt вb ոn υu ν v αa οo ρp ιi κk τt'
    .split(' ')
    .flatMap((pair): [string, string][] => {
      const [from = '', to = ''] = Array.from(pair)
      return from === '' || to === '' ? [] : [[from, to]]
    }),
)

function toSkeleton(name: string): string {
  const plain = Array.from(name.normalize('NFKC').replaceAll(HIDDEN, '')).map(
    (char) => CONFUSABLE.get(char.toLowerCase()) ?? char,
  )
  return toWords(plain.join('')).join('').replaceAll('0', 'o').replaceAll(/[1i]/gu, 'l').replaceAll('rn', 'm')
}
