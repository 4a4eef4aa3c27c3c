/**
 * @module
 * Whether a statement itself bounds how much it touches. Simple rules that err to "no"; `docs/reference/effects.md` has
 * them in words. Without the catalog nothing here knows what a key is: for a query an equality is taken for one, for a
 * change only an equality of a column whose name says that it tells rows apart (`status = 'open'` may be every row).
 */
import type { Json, JsonObject } from '../core/json.ts'
import { isJsonObject } from '../core/json.ts'
import { toBody, toList, toNames, toNode, toStringNode, toText } from './sql-facts.ts'
import { isBuiltInType } from './sql-functions.ts'
import { HARMLESS_FUNCTIONS, SUMMARIES } from './sql-lists.ts'

/** The highest LIMIT that counts as a bound. */
const MAX_LIMIT = 1_000
/** System columns, of which most have one value in a whole table. */
const SYSTEM_COLUMNS: ReadonlySet<string> = new Set(['tableoid', 'xmin', 'xmax', 'cmin', 'cmax'])

/** What columns that tell rows apart are called, and what they are not although they end alike. */
const KEYS =
  /^(?:.*_)?(?:id|uuid|guid|oid|pk|key|no|nr|num|number|sku|isbn|ean|iban|email|mail|slug|username|login|handle|ref|reference|code|name|path|url|title)$|[a-z](?:Id|ID|Uuid|UUID|Key|No|Number|Code|Ref|Name|Email)$/
const SHARED =
  /^(?:.*_)?(?:tenant|org|organi[sz]ation|company|workspace|team|department|group|category|status|state|type|kind|role|country|region|city|postal|zip|currency|language|lang|locale|plan|source|priority|stage|level|segment|brand|warehouse|store|shop)_?(?:id|uuid|key|no|nr|num|number|code|ref|name)$/i

/** True for a query of at most `MAX_LIMIT` rows, of summaries alone, of no table, or of one table by an equality. */
export function isBoundedSelect(select: JsonObject): boolean {
  if (isSmallLimit(select)) return true
  if (select['op'] !== undefined && select['op'] !== 'SETOP_NONE') {
    return [select['larg'], select['rarg']].every((arm) => isJsonObject(arm) && isBoundedSelect(arm))
  }
  if (select['valuesLists'] !== undefined) return !holds(select['valuesLists'], 'SubLink')
  const from = toList(select['fromClause'])
  if (from.length === 0) return !holds(select['targetList'], 'SubLink')
  if (select['groupClause'] === undefined && isSummary(select)) return true
  const table = from.length === 1 ? toBody(from[0], 'RangeVar') : undefined
  return (
    table !== undefined && isKeyed(select['whereClause'], { table: toAlias(table), qualified: false, isKey: isAny })
  )
}

/** True for an UPDATE or DELETE that an equality on a key of its own table, by its name, picks the rows of. */
export function isBoundedChange(change: JsonObject, others: Json | undefined): boolean {
  const table = change['relation']
  const joined = toList(others).length > 0
  return (
    isJsonObject(table) &&
    isKeyed(change['whereClause'], { table: toAlias(table), qualified: joined, isKey: isTelling })
  )
}

/** True for an INSERT of listed rows or of a bounded query. */
export function isBoundedInsert(insert: JsonObject): boolean {
  const source = toBody(insert['selectStmt'], 'SelectStmt')
  return source === undefined || isBoundedSelect(source)
}

function isSmallLimit(select: JsonObject): boolean {
  if (select['limitOption'] !== 'LIMIT_OPTION_COUNT') return false
  const value = toBody(select['limitCount'], 'A_Const')?.['ival']
  if (!isJsonObject(value)) return false
  const limit = value['ival'] ?? 0
  return typeof limit === 'number' && limit >= 0 && limit <= MAX_LIMIT
}

/** One row: summaries, and what is made of summaries and constants alone, with at least one summary. */
function isSummary(select: JsonObject): boolean {
  const targets = toList(select['targetList']).map((target) => toBody(target, 'ResTarget')?.['val'])
  return targets.every(isOfSummaries) && targets.some((target) => holdsSummary(target))
}

function isOfSummaries(value: Json | undefined): boolean {
  const node = toNode(value)
  if (node === undefined) return false
  if (isConstant(value)) return true
  if (node.tag === 'FuncCall') {
    const name = toNames(node.body['funcname']).at(-1) ?? '*'
    if (SUMMARIES.has(name) && node.body['over'] === undefined) return true
    return HARMLESS_FUNCTIONS.has(name) && toList(node.body['args']).every(isOfSummaries)
  }
  if (node.tag === 'A_Expr') return [node.body['lexpr'], node.body['rexpr']].every(isOfSummaries)
  if (node.tag === 'TypeCast') return isOfSummaries(node.body['arg'])
  return node.tag === 'CoalesceExpr' && toList(node.body['args']).every(isOfSummaries)
}

function holdsSummary(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.some(holdsSummary)
  if (!isJsonObject(value)) return false
  const name = toNames(toBody(value, 'FuncCall')?.['funcname']).at(-1)
  return (name !== undefined && SUMMARIES.has(name)) || Object.values(value).some(holdsSummary)
}

interface Keyed {
  readonly table: string
  /** Whether a column has to say that it is one of `table`. */
  readonly qualified: boolean
  readonly isKey: (column: string) => boolean
}

const isAny = (): boolean => true
const isTelling = (column: string): boolean => KEYS.test(column) && !SHARED.test(column)

/** True when `where` is, or is a conjunction with, an equality of a key of a table with constants. */
function isKeyed(where: Json | undefined, keyed: Keyed): boolean {
  const node = toNode(where)
  if (node?.tag === 'BoolExpr' && node.body['boolop'] === 'AND_EXPR') {
    return toList(node.body['args']).some((part) => isKeyed(part, keyed))
  }
  if (node?.tag !== 'A_Expr' || toNames(node.body['name']).join('.') !== '=') return false
  const { kind, lexpr, rexpr } = node.body
  if (kind === 'AEXPR_OP') {
    const sides = [
      [lexpr, rexpr],
      [rexpr, lexpr],
    ]
    return sides.some(([column, value]) => isKeyOf(column, keyed) && isConstant(value))
  }
  if (kind !== 'AEXPR_IN' && kind !== 'AEXPR_OP_ANY') return false
  const list = toBody(rexpr, 'List')?.['items'] ?? toBody(rexpr, 'A_ArrayExpr')?.['elements']
  return isKeyOf(lexpr, keyed) && Array.isArray(list) && list.every(isConstant)
}

function isKeyOf(value: Json | undefined, { table, qualified, isKey }: Keyed): boolean {
  const fields = toList(toBody(value, 'ColumnRef')?.['fields'])
  const name = toStringNode(fields.at(-1))
  if (name === undefined || SYSTEM_COLUMNS.has(name) || !isKey(name)) return false
  const qualifier = toStringNode(fields.at(-2))
  return qualifier === undefined ? !qualified : qualifier === table
}

/** A constant or parameter, also converted. Not NULL and not a truth value: these pick out no row. */
function isConstant(value: Json | undefined): boolean {
  const node = toNode(value)
  if (node === undefined) return false
  if (node.tag === 'ParamRef') return true
  if (node.tag === 'A_Const') return node.body['isnull'] !== true && node.body['boolval'] === undefined
  if (node.tag !== 'TypeCast') return false
  const type = node.body['typeName']
  const plain = isJsonObject(type) && isBuiltInType(type) && toNames(type['names']).at(-1) !== 'bool'
  return plain && isConstant(node.body['arg'])
}

function toAlias(table: JsonObject): string {
  const alias = isJsonObject(table['alias']) ? toText(table['alias']['aliasname']) : undefined
  return alias ?? toText(table['relname']) ?? '*'
}

function holds(value: Json | undefined, tag: string): boolean {
  if (Array.isArray(value)) return value.some((item) => holds(item, tag))
  return isJsonObject(value) && (tag in value || Object.values(value).some((item) => holds(item, tag)))
}
