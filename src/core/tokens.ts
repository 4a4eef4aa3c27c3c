/**
 * @module
 * Cuts text into the tokens that provenance compares: addresses, hosts, account numbers, numbers, ids, phrases, words.
 * Linear in the length of the text, whoever wrote it: text is split on delimiters, and patterns only ever see one piece.
 *
 * Two normal forms. `light` keeps identity: what is equal under it is the same address to the system behind a tool, so it
 * may *raise* trust. `heavy` also folds what merely looks alike (compatibility characters, invisible characters, other
 * alphabets' case), so it may only *lower* trust.
 */

export type TypedKind = 'email' | 'url' | 'host' | 'iban' | 'number' | 'id'
export type TokenKind = TypedKind | 'phrase' | 'word'

/** `text` is in `light` form. */
export interface TextPart {
  readonly kind: TokenKind
  readonly text: string
}

/** No piece longer than this is typed; longer ones are cut further or stand only as part of their whole leaf. */
const MAX_PIECE = 1024
const MIN_WORD = 4
const INVISIBLE = /(?![\t\n\r])(?:\p{Cf}|\p{Cc}|\p{Variation_Selector}|\p{Default_Ignorable_Code_Point})/gu
const OPENING = /^["'`<([{“”‘’«\s]+/u
const CLOSING = /["'`>)\]}“”‘’»\s.,;:!?]+$/u
const DELIMITERS = /["'`<>()[\]{}“”‘’«»,;:=|&?#%/\\]+/u

const EMAIL = /^[\p{L}\p{N}][\p{L}\p{N}._%+'-]*@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+$/u
const URL_LIKE = /^[a-z][a-z0-9+.-]{1,20}:\/\/\S+$/u
const IBAN = /^[a-z]{2}\d{2}[a-z0-9]{8,30}$/u
const GROUPED_IBAN = /\b[A-Z]{2}\d{2}(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,3})?\b/g
const NUMBER = /^[-+]?[$€£]?(?:(?:0|[1-9]\d{0,14})(?:\.\d{1,10})?|[1-9]\d{0,2}(?:,\d{3}){1,4}(?:\.\d{1,10})?)[%$€£]?$/u
const HOST = /^[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)+$/u
const QUOTED =
  /"([^"\n]{1,200})"|`([^`\n]{1,200})`|“([^”\n]{1,200})”|(?<![\p{L}\p{N}])'([^'\n]{1,200})'(?![\p{L}\p{N}])/gu
const LINE_VALUE = /(?:^|\n)[ \t-]{0,12}\w[\w ]{0,32}: ([^\n]{1,200})(?=\n|$)/gu
const ID = /^[@#~./\\]?[\p{L}\p{N}][\p{L}\p{N}_./\\:+@#-]*$/u

/** The form in which equal means the same address: trimmed, unquoted, ASCII case folded, no sentence mark at the end. */
export function light(text: string): string {
  return trimmed(text).replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

/** The form in which alike means equal: NFKC, invisible characters removed, case folded. Never raises trust. */
export function heavy(text: string): string {
  return light(text.normalize('NFKC').replace(INVISIBLE, '').toLowerCase())
}

// Trailing marks are cut by hand, because `CLOSING` over a long run of marks in the middle of a text is quadratic.
function trimmed(text: string): string {
  const start = OPENING.exec(text)?.[0].length ?? 0
  let end = text.length
  while (end > start && CLOSING.test(text.charAt(end - 1))) end -= 1
  return text.slice(start, end)
}

/** A number as JSON would write it, or undefined. `1,250.00`, `$1250` and `1250` are one number; `007` is an id. */
export function toNumberText(text: string): string | undefined {
  if (text.length > 32 || !NUMBER.test(text)) return undefined
  const value = Number(text.replace(/[$€£,%+]/gu, ''))
  return Number.isFinite(value) ? String(value) : undefined
}

/** An account number without the blanks that people write in it, or undefined. Its checksum is not looked at. */
export function toIban(text: string): string | undefined {
  const bare = light(text.slice(0, 64)).replaceAll(' ', '')
  return text.length <= 64 && IBAN.test(bare) ? bare : undefined
}

/** The kinds that one piece has by its form, each with its normal text. A bare word has none. */
export function typesOf(piece: string): readonly TextPart[] {
  const text = light(piece)
  if (text === '' || text.length > MAX_PIECE) return []
  if (EMAIL.test(text)) return [{ kind: 'email', text }]
  if (URL_LIKE.test(text)) return [{ kind: 'url', text }]
  const number = toNumberText(text)
  if (number !== undefined)
    return /^\d{6,}$/.test(text) ? [part('number', number), part('id', text)] : [part('number', number)]
  if (IBAN.test(text)) return [part('iban', text)]
  return [...(HOST.test(text) ? [part('host', text)] : []), ...(isId(text) ? [part('id', text)] : [])]
}

function part(kind: TokenKind, text: string): TextPart {
  return { kind, text }
}

// A file, a path, a date, a handle, an order number: one piece that is visibly not a word of a sentence.
function isId(text: string): boolean {
  return text.length >= 2 && ID.test(text) && /[\p{N}_/\\#@.]/u.test(text)
}

/** Every typed part and every word of a text, repetitions included. Lazy, so that its reader can stop. */
export function* partsOf(text: string): Generator<TextPart> {
  for (const found of text.matchAll(GROUPED_IBAN)) yield part('iban', light(found[0]).replaceAll(' ', ''))
  for (const [chunk] of text.matchAll(/\S+/gu)) yield* partsOfChunk(chunk)
  yield* quotedOf(text)
  yield* lineValuesOf(text)
}

function* partsOfChunk(chunk: string): Generator<TextPart> {
  yield* toParts(chunk)
  if (!DELIMITERS.test(light(chunk))) return
  for (const piece of chunk.split(DELIMITERS)) yield* toParts(piece)
}

function* toParts(piece: string): Generator<TextPart> {
  const types = typesOf(piece)
  yield* types
  for (const { kind, text } of types) if (kind === 'email') yield part('host', text.slice(text.lastIndexOf('@') + 1))
  const text = light(piece)
  if (types.length === 0 && text.length >= MIN_WORD && text.length <= MAX_PIECE) yield part('word', text)
}

/**
 * The parts of a text that stand whole between its blanks: an address gives no host, a URL no path, `a.b@x` no `b@x`.
 * Words of every length count. A chunk that has no form of its own is cut at its delimiters.
 */
export function* wholePartsOf(text: string): Generator<TextPart> {
  for (const found of text.matchAll(GROUPED_IBAN)) yield part('iban', light(found[0]).replaceAll(' ', ''))
  for (const [chunk] of text.matchAll(/\S+/gu)) {
    const types = typesOf(chunk)
    const pieces = types.length > 0 ? [] : chunk.split(DELIMITERS).map(light)
    yield* types
    for (const piece of pieces) yield* piece === '' ? [] : [part('word', piece), ...typesOf(piece)]
  }
}

/** What stands in quotation marks, at most 200 characters. */
export function* quotedOf(text: string): Generator<TextPart> {
  for (const found of text.matchAll(QUOTED)) {
    const phrase = light(found[1] ?? found[2] ?? found[3] ?? found[4] ?? '')
    if (phrase !== '') yield part('phrase', phrase)
  }
}

/** What stands after `name:` on a line of its own, as in YAML and mail headers, at most 200 characters. */
function* lineValuesOf(text: string): Generator<TextPart> {
  for (const found of text.matchAll(LINE_VALUE)) {
    const phrase = light(found[1] ?? '')
    if (phrase !== '') yield part('phrase', phrase)
  }
}
