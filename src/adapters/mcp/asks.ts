/**
 * @module
 * What a tool server asks of the person or the client (`elicitation/create`, MCP 2025-06-18 and later): which of it may be shown, how
 * a link is shown, and what may come back. Sampling and roots are never relayed: they would give a server the model and the files.
 */
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'

export type Ask =
  | { readonly ok: true; readonly params: JsonObject; readonly fields: readonly string[] }
  | { readonly ok: false; readonly why: string }

const TEXT = 4096
const FIELDS = 64

/**
 * Judges one request of a server. Never lets through one that asks for a secret in a form, or a link that hides where it goes. A
 * secret that is asked for in words that nobody thought of here is not noticed.
 */
export function judgeAsk(method: Json | undefined, params: Json | undefined): Ask {
  if (method !== 'elicitation/create')
    return { ok: false, why: 'the tool server asked for something that is not relayed' }
  if (!isJsonObject(params)) return { ok: false, why: 'the tool server asked in a way that cannot be read' }
  const { mode = 'form', message } = params
  if (typeof message !== 'string' || message.length > TEXT)
    return { ok: false, why: 'the tool server asked in a way that cannot be read' }
  if (mode === 'url') return judgeLink(message, params['url'])
  return mode === 'form'
    ? judgeForm(message, params['requestedSchema'])
    : { ok: false, why: 'the tool server asked in a way that is not known' }
}

/** A person reads first where the link leads: a name in the text may say something else. */
function judgeLink(message: string, url: Json | undefined): Ask {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined
  const isOpen = parsed?.protocol === 'https:' || (parsed?.protocol === 'http:' && isLoopback(parsed.hostname))
  if (parsed === undefined || !isOpen || parsed.username !== '' || parsed.password !== '')
    return { ok: false, why: 'the tool server asked to open a link that hides where it goes' }
  const shown = `This link leads to ${parsed.origin}. ${message}`
  return { ok: true, params: { mode: 'url', message: shown, url: parsed.href }, fields: [] }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/u.test(host)
}

function judgeForm(message: string, schema: Json | undefined): Ask {
  const properties = isJsonObject(schema) ? schema['properties'] : undefined
  if (!isJsonObject(schema) || !isJsonObject(properties) || Object.keys(properties).length > FIELDS)
    return { ok: false, why: 'the tool server asked in a way that cannot be read' }
  if (toTexts([message, schema]).some(asksForSecret))
    return { ok: false, why: 'the tool server asked a person for a credential' }
  return { ok: true, params: { mode: 'form', message, requestedSchema: schema }, fields: Object.keys(properties) }
}

/** Every text in it, the names of members too. */
function toTexts(value: Json): readonly string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(toTexts)
  return isJsonObject(value) ? Object.entries(value).flatMap(([name, each]) => [name, ...toTexts(each ?? null)]) : []
}

const SECRETS = [
  /pass ?(?:word|phrase|code|key)s?|\bpwd\b|\bpasswd\b|kennwort|passwort|mot de passe|contrase[nñ]a|senha|wachtwoord|парол|密码|密碼|パスワード|비밀번호/u,
  /\b(?:secret|credential|token|otp|totp|mfa|2fa|cvv2?|cvc2?|pin|ssn|iban)s?\b/u,
  /\b(?:api|access|private|secret|signing|ssh|recovery|license|encryption) ?keys?\b|\bapikeys?\b/u,
  /\b(?:seed|recovery|backup|mnemonic) (?:phrase|word|code)s?\b|\bmnemonic\b/u,
  /\b(?:one time|verification|security|auth(?:entication)?|login|sms|confirmation) codes?\b/u,
  /\b(?:card|account|routing|social security|passport) numbers?\b|\bcredit card\b/u,
  /\b(?:session|auth(?:entication)?) (?:id|cookie)s?\b|\bcookies?\b|\bbearer\b|\bauthorization header\b/u,
]

/** Marks that are not seen, look-alike forms, camel case and separators do not hide a word. */
function asksForSecret(text: string): boolean {
  const plain = text
    .normalize('NFKC')
    .replaceAll(/[\p{Cf}\p{Mn}]/gu, '')
    .replaceAll(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ')
    .toLowerCase()
    .replaceAll(/[\s_.\-/*]+/gu, ' ')
  return SECRETS.some((each) => each.test(plain)) || /p ?a ?s ?s ?w ?o ?r ?d/u.test(plain)
}

/** What comes back: of a form no field that was not asked for, of a link nothing but what was clicked. */
export function isAnswer(value: Json | undefined, fields: readonly string[]): boolean {
  if (!isJsonObject(value) || Object.keys(value).some((name) => name !== 'action' && name !== 'content')) return false
  const { action, content = {} } = value
  if (typeof action !== 'string' || !['accept', 'decline', 'cancel'].includes(action) || !isJsonObject(content))
    return false
  return Object.keys(content).every((name) => action === 'accept' && fields.includes(name))
}
