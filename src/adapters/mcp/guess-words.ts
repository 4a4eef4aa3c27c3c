/**
 * @module
 * The words that give a tool or an argument away, and how they are found in a name or a sentence.
 */
import type { ArgumentRole, EffectKind } from '../../index.ts'

const split = (text: string): readonly string[] => text.split(' ')

/** Verbs by what they do, base form. The order is that of the lattice. */
export const EFFECT_WORDS: readonly (readonly [EffectKind, readonly string[]])[] = [
  [
    'read',
    split(
      'get list read search find query fetch describe show view lookup count retrieve select inspect echo check compare explain analyze analyse summarize preview browse calculate compute display return report blame diff whoami',
    ),
  ],
  [
    'write',
    split(
      'write create add update set edit insert put save upsert append move rename upload patch modify change replace copy store import mkdir make commit merge tag stash fork checkout rebase cherry apply assign attach link register record schedule download init overwrite toggle mark draft',
    ),
  ],
  [
    'delete',
    split(
      'delete remove drop purge destroy truncate clear erase wipe cancel revoke archive reset clean prune kill terminate unlink uninstall discard overwrite disconnect',
    ),
  ],
  [
    'send',
    split(
      'send email mail sms publish share forward reply post tweet invite notify broadcast webhook upload export sync push comment crawl scrape submit clone navigate call subscribe',
    ),
  ],
  ['spend', split('pay purchase buy transfer refund charge checkout invoice withdraw deposit payout donate')],
  ['execute', split('run exec execute eval evaluate script shell bash command deploy launch spawn invoke install')],
  ['admin', split('grant permission permissions role roles admin configure enable disable rotate impersonate')],
]

/** What a tool that is named after a thing shows, when its description agrees. */
export const READ_NOUNS: readonly string[] = split(
  'status info information history stats statistics schema indexes logs log tree graph version size usage details summary reflog annotations metadata',
)

/** Verbs that are nouns as often: in the name of a tool they count only where it starts with them. */
export const NOUNS_TOO: readonly string[] = split(
  'comment mail email sms tag fork stash record command script order call report link mark draft webhook invoice role roles permission permissions commit merge checkout transfer charge export import diff',
)

/** Words of an argument's name that give its role away. The first row that matches wins: the gravest come first. */
export const ROLE_WORDS: readonly (readonly [ArgumentRole, readonly string[]])[] = [
  ['credential', split('password passwd passphrase secret token credential apikey authorization pat')],
  ['command', split('sql command cmd code script expression statement shell eval function pipeline')],
  ['recipient', split('cc bcc recipient email mail phone invitee assignee reviewer attendee')],
  [
    'destination',
    split(
      'url uri host hostname endpoint webhook address domain channel destination bucket callback origin server remote connectionstring proxy',
    ),
  ],
  ['amount', split('amount price quantity cost fee budget credits')],
]

export const CONTENT_WORDS: readonly string[] = split(
  'body text content contents message subject title description note comment summary data document edit entity entities observation value record row item payload properties property children block column prompt instruction topic caption thought question answer',
)

export const SELECTOR_WORDS: readonly string[] = split(
  'id ids path paths query q name filter limit offset page cursor table column field index number date from until since sort sorts order by type state owner repo branch sha uuid pattern ref commit head base tag label format mode method regex grep author database collection project organization workspace node nodes direction level depth language locale region category categories time range start end size count key thread_ts timestamp',
)

export const FORMATS: ReadonlyMap<string, ArgumentRole> = new Map([
  ['email', 'recipient'],
  ['idn-email', 'recipient'],
  ['uri', 'destination'],
  ['url', 'destination'],
  ['iri', 'destination'],
  ['uri-reference', 'destination'],
  ['hostname', 'destination'],
  ['ipv4', 'destination'],
  ['ipv6', 'destination'],
  ['date', 'selector'],
  ['date-time', 'selector'],
  ['time', 'selector'],
  ['uuid', 'selector'],
])

/** The words of an identifier or sentence, in lower case: `sendEmail_to` is `send`, `email`, `to`. */
export function toWords(text: string): readonly string[] {
  return text
    .replace(/([a-z\d])([A-Z])/gu, '$1 $2')
    .toLowerCase()
    .split(/[^a-z\d]+/u)
    .filter((word) => word !== '')
}

/** `base` itself, as a plural or third person, or in its other regular forms. */
export function isForm(word: string, base: string): boolean {
  const stem = base.replace(/e$/u, '')
  const forms = [base, `${base}s`, `${base}es`, `${base.replace(/y$/u, 'i')}es`, `${stem}ing`, `${stem}ed`]
  const last = base.at(-1) ?? ''
  return forms.includes(word) || word === `${base}${last}ing` || word === `${base}${last}ed`
}

const LEADING = /^(?:to|and|or|then|also|can|will|may|it|by|that|which|tool|permanently|completely|new)$/u
const NEGATION = /^(?:not|never|without|no|don|doesn|won|cannot)$/u
/** Longer texts are read up to here: the first sentences say what a tool does. */
const MOST_WORDS = 120

/** The words of a text that stand where a verb stands, and are not denied. */
export function verbsOf(text: string): readonly string[] {
  return text
    .split(/[.!?\n;:]+/u)
    .flatMap((sentence) => {
      const words = toWords(sentence)
      return words.filter((_word, index) => isVerb(words, index))
    })
    .slice(0, MOST_WORDS)
}

function isVerb(words: readonly string[], index: number): boolean {
  if (words.slice(Math.max(0, index - 3), index).some((word) => NEGATION.test(word))) return false
  return index === 0 || LEADING.test(words[index - 1] ?? '')
}
