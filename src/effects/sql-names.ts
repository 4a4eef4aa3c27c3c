/**
 * @module
 * What stands under which name in the rows that a statement gives out. Labels of a manifest go by the name of a column, so
 * that `note AS email`, `lower(note)` or `'x@y.example' AS email` would put anything under a label that was meant for
 * something else. Told only where every output is a column of a table, as it is; else nothing is said.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { toBody, toList, toNames, toNode, toStringNode, toText } from './sql-facts.ts'
import { BUILT_IN_TYPES, HARMLESS_FUNCTIONS } from './sql-lists.ts'

/** Output name to the columns behind it; columns under their own name are left out. */
type Renamed = Readonly<Record<string, readonly string[]>>

/** Numbers made of many rows: they carry no text, whatever they are called. */
const NUMBERS: ReadonlySet<string> = new Set(['count', 'sum', 'avg'])

/**
 * The renamed columns of all statements; undefined where an output is anything but a column of a table. Does not know
 * which table has which column, nor what a view made of it.
 */
export function findRenamed(statements: readonly JsonObject[]): Renamed | undefined {
  const renamed = new Map<string, readonly string[]>()
  for (const statement of statements) {
    const outputs = toOutputs(statement)
    if (outputs === undefined) return undefined
    for (const [name, column] of outputs) renamed.set(name, [...(renamed.get(name) ?? []), column])
  }
  return Object.fromEntries(renamed)
}

type Outputs = readonly (readonly [name: string, column: string])[]

function toOutputs(statement: JsonObject): Outputs | undefined {
  const node = toNode(statement)
  if (node === undefined) return undefined
  const { tag, body } = node
  if (tag === 'SelectStmt') {
    const isPlain = body['withClause'] === undefined && body['valuesLists'] === undefined && isSimple(body['op'])
    return isPlain ? toTargets(body['targetList'], toTables(body['fromClause'])) : undefined
  }
  if (tag !== 'InsertStmt' && tag !== 'UpdateStmt' && tag !== 'DeleteStmt') return undefined
  if (body['withClause'] !== undefined) return undefined
  const returning = body['returningClause'] ?? body['returningList']
  const list = isJsonObject(returning) ? (returning['exprs'] ?? null) : returning
  const others = [...toList(body['fromClause']), ...toList(body['usingClause'])]
  return toTargets(list, toTables([{ RangeVar: body['relation'] ?? {} }, ...others]))
}

function isSimple(op: Json | undefined): boolean {
  return op === undefined || op === 'SETOP_NONE'
}

/** The names by which rows as a whole may be meant; undefined where something else than tables is read. */
function toTables(from: Json | undefined): ReadonlySet<string> | undefined {
  const names = new Set<string>()
  for (const item of toList(from)) {
    const node = toNode(item)
    const inner = node?.tag === 'JoinExpr' ? toTables([node.body['larg'] ?? {}, node.body['rarg'] ?? {}]) : new Set('')
    if (node === undefined || inner === undefined || !/^(RangeVar|JoinExpr)$/.test(node.tag)) return undefined
    const alias = node.body['alias']
    if (isJsonObject(alias) && toList(alias['colnames']).length > 0) return undefined
    const own = [isJsonObject(alias) ? alias['aliasname'] : undefined, node.body['relname']]
    for (const name of [...inner, ...own]) if (typeof name === 'string') names.add(name)
  }
  return names
}

function toTargets(list: Json | undefined, tables: ReadonlySet<string> | undefined): Outputs | undefined {
  const targets = toList(list)
  if (tables === undefined || (list !== undefined && !Array.isArray(list))) return undefined
  const outputs: (readonly [string, string])[] = []
  for (const target of targets) {
    const body = toBody(target, 'ResTarget')
    const name = toText(body?.['name'])
    if (isNumber(body?.['val'])) continue
    const column = toColumn(body?.['val'], tables)
    if (column === undefined || (column === '*' && name !== undefined)) return undefined
    if (name !== undefined && name !== column) outputs.push([name, column])
  }
  return outputs
}

/** The name of the column that `value` is, or `*` for all of them. */
function toColumn(value: Json | undefined, tables: ReadonlySet<string>): string | undefined {
  const fields = toList(toBody(value, 'ColumnRef')?.['fields'])
  const last = fields.at(-1)
  if (toBody(last, 'A_Star') !== undefined) return '*'
  const name = toStringNode(last)
  // A bare name of a table is its whole row, as text; `alias.concat` may be a function of the row.
  if (name === undefined || (fields.length === 1 && tables.has(name))) return undefined
  const mayCall = fields.length > 1 && HARMLESS_FUNCTIONS.has(name) && !BUILT_IN_TYPES.has(name)
  return mayCall ? undefined : name
}

function isNumber(value: Json | undefined): boolean {
  const call = toBody(value, 'FuncCall')
  if (call === undefined || call['over'] !== undefined) return false
  const names = toNames(call['funcname'])
  const isColumns = toList(call['args']).every((argument) => toBody(argument, 'ColumnRef') !== undefined)
  return names.length === 1 && NUMBERS.has(names[0] ?? '') && isColumns
}

/**
 * The names of all columns that could have gone into what the statements give out; undefined where that cannot be told:
 * `*`, a row as a whole, columns that were given other names. Over-reports: a column of a condition counts too. Holds only
 * for statements that call nothing unknown.
 */
export function findMentioned(statements: readonly JsonObject[]): readonly string[] | undefined {
  const columns = new Set<string>()
  const sources = new Set<string>()
  const isKnown = statements.every((statement) => collect(statement, columns, sources))
  return isKnown && [...columns].every((name) => !sources.has(name)) ? [...columns].toSorted() : undefined
}

/** False where something was met that hides columns. */
function collect(value: Json, columns: Set<string>, sources: Set<string>): boolean {
  if (Array.isArray(value)) return value.every((item: Json) => collect(item, columns, sources))
  if (!isJsonObject(value)) return true
  if ('A_Star' in value || 'A_Indirection' in value || 'ExplainStmt' in value) return false
  const fields = toList(toBody(value, 'ColumnRef')?.['fields'])
  const last = toStringNode(fields.at(-1))
  if (last !== undefined) columns.add(last)
  // A table under another list of names. Below it, in a query, the columns behind the names are met themselves.
  const alias = toBody(value, 'RangeVar')?.['alias'] ?? toBody(value, 'JoinExpr')?.['alias']
  if (isJsonObject(alias) && toList(alias['colnames']).length > 0) return false
  for (const name of ['relname', 'aliasname', 'ctename']) {
    const source = toText(value[name])
    if (source !== undefined) sources.add(source)
  }
  const mayCall = fields.length > 1 && last !== undefined && HARMLESS_FUNCTIONS.has(last) && !BUILT_IN_TYPES.has(last)
  return !mayCall && Object.values(value).every((member) => member === undefined || collect(member, columns, sources))
}
