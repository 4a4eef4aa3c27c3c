/**
 * @module
 * The human form of a grant. Strict: an unknown key is an error, and every error names the path of the key and never its
 * value, because a grant may be pasted from anywhere.
 */
import { isEffectKind, type EffectKind } from './effect.ts'
import type { Budget, Grant, Operation } from './grant.ts'
import { fail, readArray, readObject, readText, readWhole, type Field, type Fields } from './grant-fields.ts'
import { isJsonObject, type Json } from './json.ts'
import { parseConstraint } from './parse-constraint.ts'
import { parsePointer } from './pointer.ts'

export interface ParseGrantOptions {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The thumbprint of an enrolled agent key, by name or thumbprint. */
  readonly resolveActor: (nameOrJkt: string) => string | undefined
  readonly issuedBy: Grant['issuedBy']
}

const DAY = 86_400_000
/** How long a grant lives when nothing is said, and at most, in milliseconds. */
export const GRANT_TTL_MS: number = DAY
export const GRANT_MAX_TTL_MS: number = 90 * DAY
const MAX_DEPTH = 16
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: DAY }

/**
 * The grant that `value` describes, with `options.id`; `parse-grant.test.ts` shows every member. Throws `InputError`.
 * Does not promise that a grant with a `parent` is contained in it: compare with `isGrantContained`. Does not look up
 * whether the upstream, the tools or the principal exist.
 */
export function parseGrant(value: Json, options: ParseGrantOptions): Grant {
  const fields = readObject({ path: 'grant', value }, [
    'principal',
    'actor',
    'expires',
    'notBefore',
    'operations',
    'budgets',
    'depth',
    'parent',
  ])
  const times = parseTimes(fields, options.now)
  return {
    id: options.id,
    principal: parsePrincipal(fields.need('principal')),
    actor: parseActor(fields.need('actor'), options),
    ...(fields.has('parent') ? { parent: readText(fields.need('parent')) } : {}),
    issuedBy: { ...options.issuedBy },
    ...times,
    operations: readArray(fields.need('operations'), 1).map(parseOperation),
    budgets: fields.has('budgets') ? parseBudgets(fields.need('budgets')) : [],
    depth: fields.has('depth') ? readWhole(fields.need('depth'), MAX_DEPTH) : 0,
  }
}

function parsePrincipal(field: Field): Grant['principal'] {
  if (!isJsonObject(field.value)) return { type: 'user', id: readText(field) }
  const fields = readObject(field, ['type', 'id'])
  return { type: readText(fields.need('type')), id: readText(fields.need('id')) }
}

function parseActor(field: Field, { resolveActor }: ParseGrantOptions): string {
  return resolveActor(readText(field)) ?? fail(field, 'is not an enrolled agent')
}

function parseTimes(fields: Fields, now: number): Pick<Grant, 'notBefore' | 'expires'> {
  const notBefore = fields.has('notBefore') ? parseDate(fields.need('notBefore')) : now
  if (!fields.has('expires'))
    return { notBefore, expires: orderly(fields.at('expires'), notBefore, now + GRANT_TTL_MS, now) }
  const field = fields.need('expires')
  return { notBefore, expires: orderly(field, notBefore, parseDuration(field, now) ?? parseDate(field), now) }
}

function orderly(field: Field, notBefore: number, expires: number, now: number): number {
  if (expires <= now) fail(field, 'lies in the past')
  if (expires <= notBefore) fail(field, 'lies before `notBefore`')
  if (expires > now + GRANT_MAX_TTL_MS) fail(field, 'is more than 90 days away')
  return expires
}

function parseDuration(field: Field, now: number): number | undefined {
  const [, digits, unit = ''] = /^([1-9][0-9]{0,6})([smhd])$/.exec(readText(field)) ?? []
  return digits === undefined ? undefined : now + Number(digits) * (UNITS[unit] ?? NaN)
}

/** A date without zone is UTC; a time without zone would be read by the clock of whoever parses it and is refused. */
function parseDate(field: Field): number {
  const text = readText(field)
  const shaped = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/.test(text)
  const time = shaped ? Date.parse(text) : NaN
  // V8 rolls some days over (February 30 is March 2); what comes back must be the day that was written.
  const isDay = shaped && toIsoDay(Date.parse(text.slice(0, 10))) === text.slice(0, 10)
  return isDay && Number.isFinite(time)
    ? time
    : fail(field, 'must be a duration such as `8h` or an ISO 8601 date with its zone')
}

function toIsoDay(time: number): string | undefined {
  return Number.isFinite(time) ? new Date(time).toISOString().slice(0, 10) : undefined
}

function parseOperation(field: Field): Operation {
  const fields = readObject(field, ['tool', 'effects', 'where'])
  return {
    ...parseTool(fields.need('tool')),
    effects: fields.has('effects') ? parseEffects(fields.need('effects')) : ['read'],
    where: fields.has('where') ? parseWhere(fields.need('where')) : {},
  }
}

/** `upstream/tool`; a tool may hold further slashes. Only a whole tool may be `*`, and never the upstream. */
function parseTool(field: Field): Pick<Operation, 'upstream' | 'tool'> {
  const [, upstream, tool] =
    /^([A-Za-z0-9][A-Za-z0-9._-]{0,63})\/(\*|[^*\s\p{Cc}]{1,256})$/u.exec(readText(field)) ?? []
  if (upstream === undefined || tool === undefined) return fail(field, 'must be `upstream/tool` or `upstream/*`')
  return { upstream, tool }
}

function parseEffects(field: Field): readonly EffectKind[] {
  return readArray(field, 1).map((each) => {
    const text = readText(each)
    return isEffectKind(text) ? text : fail(each, 'must be one of read, write, delete, send, spend, execute, admin')
  })
}

function parseWhere(field: Field): Operation['where'] {
  const fields = readObject(field)
  // `fromEntries` defines members, so that a key `__proto__` stays a key.
  return Object.fromEntries(
    fields.keys.map((key) => {
      readPointer({ path: fields.at(key).path, value: key })
      return [key, parseConstraint(fields.need(key))]
    }),
  )
}

function readPointer(field: Field): string {
  const text = readText(field)
  if (text.startsWith('/')) return fail(field, 'must be a pointer without its leading slash')
  return parsePointer(text) === undefined ? fail(field, 'must be a pointer (RFC 6901)') : text
}

function parseBudgets(field: Field): readonly Budget[] {
  const budgets = readArray(field, 0).map(parseBudget)
  // Two budgets of one id would share one counter.
  if (new Set(budgets.map(({ id }) => id)).size !== budgets.length) fail(field, 'must have distinct ids')
  return budgets
}

function parseBudget(field: Field): Budget {
  const fields = readObject(field, ['id', 'limit', 'per', 'amount', 'effects'])
  const id = fields.need('id')
  const limit = fields.need('limit')
  return {
    id: NAME.test(readText(id)) ? readText(id) : fail(id, 'must be a short name of letters, digits, `.`, `_` and `-`'),
    limit: isAmount(limit.value) ? limit.value : fail(limit, 'must be a number, zero or more'),
    per: fields.has('per') ? parsePer(fields.need('per')) : 'grant',
    ...(fields.has('amount') ? { amount: readPointer(fields.need('amount')) } : {}),
    ...(fields.has('effects') ? { effects: parseEffects(fields.need('effects')) } : {}),
  }
}

function parsePer(field: Field): Budget['per'] {
  return field.value === 'grant' || field.value === 'task' ? field.value : fail(field, 'must be `grant` or `task`')
}

function isAmount(value: Json): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
