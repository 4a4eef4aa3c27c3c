/**
 * @module
 * Recorded text as it may be shown to an operator: credentials elided first, then control, bidirectional and invisible
 * characters written as `\u{…}`. Everything that `why` says of an agent's or a stranger's words goes through here.
 */
import type { ArgumentRole } from '../../core/manifest.ts'
import { toDisplayText } from '../display.ts'

/** Longer values are cut, with their length: `audit show` has them in full. */
const MAX_SHOWN = 2_000
/** How much is searched for credentials, so that a long text costs no more than this. */
const MAX_SEARCHED = 16 * 1024

/** What is a credential by its shape, wherever it stands. */
const CREDENTIALS: readonly RegExp[] = [
  // A private key, also one whose end is missing.
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/gu,
  // JWS and JWE in compact form.
  /\beyJ[\w-]{5,}(?:\.[\w-]*){1,4}/gu,
  /\b(?:bearer|basic|dpop|token)\s+(?=[\w~+/.=-]*[0-9=])[\w~+/.=-]{12,}/giu,
  // Well known prefixes of providers.
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/gu,
  /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|sk_live_|sk_test_|rk_live_|npm_|pypi-|hf_|AIza|ya29\.)[\w.-]{10,}/gu,
  // `user:secret@` of a URL.
  /(?<=[a-z][a-z0-9+.-]{0,20}:\/\/[^\s/?#@]{0,200}:)[^\s/?#@]+(?=@)/giu,
  // `password=…` and `"apiKey": "…"`; the name stays.
  /(?<=\b(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|client[_-]?secret|credential|authorization)["']?\s{0,3}[=:]\s{0,3}["']?)[^\s"'&;,]{4,}/giu,
]

/** What is a credential by what it is called. */
const SECRET_NAME =
  /(?:^|[/_.-])(?:pass(?:word|wd|phrase|code)?|pwd|secrets?|token|api[_-]?keys?|apikey|access[_-]?keys?|private[_-]?keys?|client[_-]?secrets?|credentials?|authorization|cookies?|pin|otp|cvc|cvv)$/iu

/** The text without what looks like a credential. Does not promise to know every credential by its shape. */
export function elideCredentials(text: string): string {
  return CREDENTIALS.reduce((rest, pattern) => rest.replace(pattern, (found) => toElided(found)), text)
}

/** Recorded text on one line: elided, escaped, cut where it is very long. */
export function toShown(text: string): string {
  const elided = elideCredentials(text.slice(0, MAX_SEARCHED))
  const isWhole = text.length <= MAX_SEARCHED && elided.length <= MAX_SHOWN
  if (isWhole) return toDisplayText(elided)
  return `${toDisplayText(elided.slice(0, MAX_SHOWN))} … (${text.length} characters, see \`audit show\`)`
}

/** Recorded text in quotation marks, so that where it ends can be seen. */
export function toQuoted(text: string): string {
  return `"${toShown(text).replaceAll('"', '\\"')}"`
}

/** The value of one argument. One whose role or name says that it is a credential is never shown. */
export function toShownValue(value: string | number | boolean, path: string, role: ArgumentRole): string {
  if (role === 'credential' || SECRET_NAME.test(path)) return toElided(String(value))
  return typeof value === 'string' ? toQuoted(value) : String(value)
}

/** A list of recorded texts; `nothing` where it is empty. */
export function toShownList(texts: readonly string[], nothing: string = 'nothing'): string {
  return texts.length === 0 ? nothing : texts.map((text) => (text === '*' ? 'anything' : toQuoted(text))).join(', ')
}

function toElided(found: string): string {
  return `(credential of ${found.length} characters, elided)`
}
