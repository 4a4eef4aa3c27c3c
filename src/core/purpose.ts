/**
 * @module
 * What the principal's own words vouch for. A word vouches only for a whole typed token that fits the role of an argument
 * (design §4): an address for a recipient, a number for an amount; never by substring, never by resemblance.
 */
import type { ArgumentRole } from './manifest.ts'
import { light, quotedOf, toIban, toNumberText, wholePartsOf, type TokenKind } from './tokens.ts'

/** The tokens of a purpose, by kind, in `light` form. */
export interface PurposeTokens {
  readonly byKind: ReadonlyMap<TokenKind, ReadonlySet<string>>
  /** Numbers that could be amounts: not those that only ever say which order or customer. */
  readonly amounts: ReadonlySet<string>
  /** Exactly as written, for what must match in case too. */
  readonly exact: ReadonlySet<string>
}

const ADDRESS: readonly TokenKind[] = ['email', 'url', 'host', 'iban', 'id', 'phrase']
const ANY: readonly TokenKind[] = [...ADDRESS, 'number', 'word']

/** Which kinds of token fit which role. */
export const FITTING: Readonly<Record<ArgumentRole, readonly TokenKind[]>> = {
  recipient: ADDRESS,
  destination: ADDRESS,
  amount: ['number'],
  selector: ANY,
  content: ANY,
  // A command is vouched for only when the principal wrote it down as a whole, in quotation marks.
  command: ['phrase'],
  credential: ['id', 'phrase'],
}

/** A purpose is a prompt, not a document: what stands after this many characters vouches for nothing. */
const MAX_PURPOSE = 64 * 1024

/** The tokens of a purpose. Words of every length count, because a principal may name a thing `EU`. */
export function tracePurpose(purpose: string): PurposeTokens {
  const text = purpose.slice(0, MAX_PURPOSE)
  const byKind = new Map<TokenKind, Set<string>>()
  const add = (kind: TokenKind, token: string): void => {
    byKind.set(kind, (byKind.get(kind) ?? new Set<string>()).add(token))
  }
  const exact = new Set<string>()
  for (const { kind, text: token } of wholePartsOf(text)) add(kind, token)
  for (const { kind, text: token } of quotedOf(text)) add(kind, token)
  for (const [chunk] of text.matchAll(/\S+/gu)) exact.add(chunk.replace(/^["'`(]{1,3}|["'`).,;:!?]{1,3}$/g, ''))
  for (const found of text.matchAll(/["'`]([^"'`\n]{1,200})["'`]/g)) exact.add(found[1] ?? '')
  return { byKind, amounts: toAmounts(text), exact }
}

/** `order 77`, `invoice no. 1250`, `#12`: a number that names a thing. `Order 3 pizzas` does not. */
const NAMING =
  /#\s?\d[\d.,]*|(?:(?<!^\s*|[.!?;:,]\s*|\b(?:to|please|and|then)\s+)\border|\b(?:customer|client|user|invoice|ticket|case|issue|account|contract|reference|ref|transaction|payment|booking|reservation|article|item|product|sku|room|line|row|page|id|no|nr|number))s?\b[.:]?\s*(?:(?:id|no|nr|number)\b[.:]?\s*)?#?\d[\d.,]*/giu

function toAmounts(text: string): ReadonlySet<string> {
  const amounts = new Set<string>()
  for (const { kind, text: token } of wholePartsOf(text.replace(NAMING, ' '))) if (kind === 'number') amounts.add(token)
  return amounts
}

/**
 * True when the whole of `value` is a whole token of the purpose that fits `role`. `value` is as the tool would get it; a
 * number in its JSON form. Does not promise that the principal meant the token for this argument, or for this tool.
 */
export function isVouched(tokens: PurposeTokens, role: ArgumentRole, value: string): boolean {
  if (role === 'credential' && !tokens.exact.has(value)) return false
  const text = light(value)
  // Blanks around an address are nothing; a line break can begin another line of a mail's head.
  if (text === '' || /\p{Cc}/u.test(value)) return false
  if (role === 'amount') return tokens.amounts.has(inKind('number', text))
  return FITTING[role].some((kind) => tokens.byKind.get(kind)?.has(inKind(kind, text)) === true)
}

function inKind(kind: TokenKind, text: string): string {
  if (kind === 'number') return toNumberText(text) ?? text
  return kind === 'iban' ? (toIban(text) ?? text) : text
}
