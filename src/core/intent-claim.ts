/**
 * @module
 * The declared intent as data (contracts, "The intent argument"): `[effect {"," effect} ":"] sentence`, at least 8
 * characters.
 * What is claimed can only narrow or block (invariant 4), so that reading too much out of a sentence costs a comparison,
 * never a right.
 */
import { type Effect, type EffectKind, isEffectKind, joinEffect, toEffect } from './effect.ts'

export interface ParsedIntent {
  /** Only when stated before the colon; more than one where a tool does several things at once. */
  readonly effects?: readonly EffectKind[]
  readonly sentence: string
}

const MIN_LENGTH = 8

/**
 * Reads an intent. Undefined when it is shorter than 8 characters, says nothing (no letter), or is not well-formed text.
 * A word before a colon that is no effect belongs to the sentence. Does not judge whether the sentence is true.
 */
export function parseIntent(text: string): ParsedIntent | undefined {
  const whole = text.trim()
  if (!whole.isWellFormed() || Array.from(whole).length < MIN_LENGTH) return undefined
  const [, words = '', rest = ''] = /^([A-Za-z]+(?:\s*,\s*[A-Za-z]+){0,6})\s*:(.*)$/s.exec(whole) ?? []
  const stated = words.toLowerCase().split(/\s*,\s*/)
  const effects = stated.filter(isEffectKind)
  const isStated = effects.length > 0 && effects.length === stated.length
  const parsed = isStated ? { effects, sentence: rest.trim() } : { sentence: whole }
  return /\p{L}/u.test(parsed.sentence) ? parsed : undefined
}

/**
 * The most that an intent claims: the stated effect, else what the verbs of its sentence say together, else `read`.
 * A level holds the levels below it. `send`, `spend`, `execute` and `admin` hold `write` too, because what was sent or
 * paid is also kept somewhere; they never hold `delete`, nor each other.
 */
export function toClaimedEffect(intent: ParsedIntent): Effect {
  const kinds = intent.effects ?? inferKinds(intent.sentence)
  return kinds.map(toClaim).reduce(joinEffect, toEffect('read'))
}

function toClaim(kind: EffectKind): Effect {
  const effect = toEffect(kind)
  return effect.beside.length === 0 ? effect : joinEffect(effect, toEffect('write'))
}

/** Verbs by what they claim, in their base form. Everything else claims `read`. */
const VERBS: Readonly<Record<Exclude<EffectKind, 'read'>, string>> = {
  write:
    'write add append insert create modify edit save store rename move mark cancel reschedule arrange assign set put register upload import replace correct fix enter fill book reserve schedule update change record subscribe invite post draft archive complete close open',
  delete: 'delete remove drop truncate erase wipe purge destroy clear discard',
  send: 'send forward notify reply respond publish share tell contact submit e-mail email mail message text post tweet invite schedule reschedule arrange',
  spend: 'pay buy purchase spend transfer refund order charge reimburse donate wire',
  execute: 'execute run launch deploy invoke compile install restart',
  admin: 'grant revoke administer authorize authorise promote reconfigure permit enrol enroll',
}

const IRREGULAR: Readonly<Record<string, EffectKind>> = {
  wrote: 'write',
  written: 'write',
  sent: 'send',
  told: 'send',
  paid: 'spend',
  bought: 'spend',
  spent: 'spend',
  ran: 'execute',
}

/** Nouns at least as often as verbs; they claim only where a verb stands (`the order of 12 May` buys nothing). */
const AMBIGUOUS = new Set(
  'order charge transfer mail e-mail email message text post book record draft run set mark change update share refund purchase grant store permit reply import schedule put wire archive forward fix clear drop correct tweet open close complete move reserve fill edit launch cancel contact wipe invite'
    .split(' ')
    .flatMap((noun) => [noun, `${noun}s`, `${noun}es`, noun.replace(/y$/, 'ies')]),
)

const LEADING =
  /^(?:to|will|shall|must|should|can|may|please|and|then|i|we|now|let|lets|me|us|or|ll|also|just|not|never)$/
const NEGATION = /^(?:not|never|without|no|don|doesn|won|cannot|nothing|neither|nor|avoid)$/

const KINDS: ReadonlyMap<string, ReadonlySet<EffectKind>> = toKindsByForm()

function toKindsByForm(): ReadonlyMap<string, ReadonlySet<EffectKind>> {
  const forms = new Map<string, Set<EffectKind>>()
  const add = (form: string, kind: EffectKind): unknown => forms.set(form, (forms.get(form) ?? new Set()).add(kind))
  for (const [kind, verbs] of Object.entries(VERBS)) {
    if (isEffectKind(kind)) for (const verb of verbs.split(' ')) for (const form of inflect(verb)) add(form, kind)
  }
  for (const [form, kind] of Object.entries(IRREGULAR)) add(form, kind)
  return forms
}

/** Every regular form of a verb, and some that do not exist and so are never met. */
function inflect(verb: string): readonly string[] {
  const stem = verb.replace(/e$/, '')
  const last = verb.at(-1) ?? ''
  const past = [`${stem}ed`, `${verb}${last}ed`, verb.replace(/y$/, 'ied')]
  return [verb, `${verb}s`, `${verb}es`, verb.replace(/y$/, 'ies'), ...past, `${stem}ing`, `${verb}${last}ing`]
}

/** The kinds that the verbs of a sentence claim, without those that it denies (`without deleting anything`). */
function inferKinds(sentence: string): readonly EffectKind[] {
  const words = sentence.toLowerCase().match(/[\p{L}\p{N}]+(?:-[\p{L}\p{N}]+)*/gu) ?? []
  const claiming = words.filter((word, index) => isVerb(word, words[index - 1]) && !isDenied(words, index))
  return claiming.flatMap((word) => [...(KINDS.get(word) ?? [])])
}

function isVerb(word: string, before: string | undefined): boolean {
  return !AMBIGUOUS.has(word) || before === undefined || LEADING.test(before)
}

/** How far a negation reaches, in words. */
const REACH = 4

function isDenied(words: readonly string[], index: number): boolean {
  return words.slice(Math.max(0, index - REACH), index).some((word) => NEGATION.test(word))
}
