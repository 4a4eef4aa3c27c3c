/**
 * @module
 * Walks the tree of a query. The list of node types is closed: a node or a structure that is not named here is the worst
 * case, so that syntax of a later PostgreSQL is refused until somebody has read it. Within statements that define
 * things, which are never a read, other nodes are walked through in search of what they would run.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isNotable, judgeCall, judgeField, judgeOperator, judgeType } from './sql-functions.ts'
import { raise, raiseWorst, toList, toNames, toNode, toStringNode, toText, type Facts } from './sql-facts.ts'
import { RESULT_COLUMNS, SECRET_RELATIONS } from './sql-lists.ts'

export interface Walk {
  readonly facts: Facts
  /** Names of the WITH queries in scope. */
  readonly ctes: ReadonlySet<string>
  /** Aliases of functions in FROM, with the columns that they are known to have. */
  readonly calls: ReadonlyMap<string, ReadonlySet<string>>
  /** False within statements that define things. */
  readonly strict: boolean
  /** Handles a statement inside another one, or says that the node is none. */
  readonly statement: (tag: string, body: JsonObject, walk: Walk) => boolean
}

/** Nodes that do nothing but hold others. */
const HOLDERS: ReadonlySet<string> = new Set(
  `A_ArrayExpr A_Const A_Indices A_Star BoolExpr BooleanTest CaseExpr CaseWhen CoalesceExpr CollateClause CurrentOfExpr
  Float GroupingFunc GroupingSet IndexElem Integer JoinExpr JsonArgument JsonArrayAgg JsonArrayConstructor
  JsonArrayQueryConstructor JsonFuncExpr JsonIsPredicate JsonKeyValue JsonObjectAgg JsonObjectConstructor JsonParseExpr
  JsonScalarExpr JsonSerializeExpr JsonTable JsonTableColumn JsonValueExpr List MergeSupportFunc
  MinMaxExpr MultiAssignRef NamedArgExpr NullTest ParamRef RangeFunction RangeSubselect RangeTableFunc
  RangeTableFuncCol ReturningOption ResTarget RowExpr SQLValueFunction SetToDefault String WindowDef XmlExpr
  XmlSerialize`.split(/\s+/),
)

/** Members that hold a structure without a tag, and nothing more than others. */
const STRUCTURES: ReadonlySet<string> = new Set(
  `alias join_using_alias over onConflictClause infer returningClause search_clause cycle_clause output returning format
  context_item val value constructor arg expr pathspec on_error on_empty formatted_expr`.split(/\s+/),
)

type Handler = (body: JsonObject, walk: Walk) => void

const HANDLERS: Readonly<Record<string, Handler>> = {
  FuncCall: (body, walk) => {
    judgeCall(walk.facts, toNames(body['funcname']))
    walkMembers(body, walk, ['funcname'])
  },
  A_Expr: (body, walk) => {
    judgeOperator(walk.facts, body['name'])
    walkMembers(body, walk, ['name'])
  },
  SubLink: (body, walk) => {
    if (body['operName'] !== undefined) judgeOperator(walk.facts, body['operName'])
    walkMembers(body, walk, ['operName'])
  },
  SortBy: (body, walk) => {
    if (body['useOp'] !== undefined) judgeOperator(walk.facts, body['useOp'])
    walkMembers(body, walk, ['useOp'])
  },
  TypeCast: (body, walk) => walkMembers(body, walk),
  TypeName: (body, walk) => {
    judgeType(walk.facts, body)
    walkMembers(body, walk, ['names'])
  },
  ColumnDef: (body, walk) => walkMembers(body, walk),
  ColumnRef: (body, walk) => judgeColumn(toList(body['fields']), walk),
  A_Indirection: (body, walk) => {
    for (const part of toList(body['indirection'])) {
      const name = toStringNode(part)
      if (name !== undefined && !RESULT_COLUMNS.has(name)) judgeField(walk.facts, name)
    }
    walkMembers(body, walk)
  },
  RangeVar: (body, walk) => noteRelation(body, walk, false),
  RangeTableSample: (body, walk) => {
    const method = toNames(body['method']).join('.')
    if (!/^(pg_catalog\.)?(system|bernoulli)$/.test(method)) {
      raise(walk.facts, ['execute'], 'samples by a method that is not known')
    }
    walkMembers(body, walk, ['method'])
  },
}

/** Walks whatever a member of a node holds. `field` is its name. */
export function walkValue(value: Json | undefined, field: string, walk: Walk): void {
  if (Array.isArray(value)) {
    for (const item of value) walkValue(item, field, walk)
    return
  }
  if (!isJsonObject(value) || Object.keys(value).length === 0) return
  const node = toNode(value)
  if (node === undefined) walkStructure(value, field, walk)
  else walkNode(node.tag, node.body, walk)
}

/** Walks every member of a node but those in `except`. */
export function walkMembers(body: JsonObject, walk: Walk, except: readonly string[] = []): void {
  for (const [field, value] of Object.entries(body)) {
    if (!except.includes(field)) walkValue(value, field, walk)
  }
}

function walkNode(tag: string, body: JsonObject, walk: Walk): void {
  const handler = Object.hasOwn(HANDLERS, tag) ? HANDLERS[tag] : undefined
  if (handler !== undefined) return handler(body, walk)
  // What a locking clause names are aliases of the same query, which itself says that it locks.
  if (tag === 'A_Const' || tag === 'String' || tag === 'LockingClause') return
  if (HOLDERS.has(tag)) return walkMembers(body, walk)
  if (walk.statement(tag, body, walk)) return
  if (walk.strict) raiseWorst(walk.facts, 'uses syntax that is not known to be harmless')
  else walkMembers(body, walk)
}

function walkStructure(value: JsonObject, field: string, walk: Walk): void {
  if (field === 'larg' || field === 'rarg') {
    // Arms of a set operation are queries; arms of a join are nodes with a tag and do not come here.
    if (!walk.statement('SelectStmt', value, walk)) raiseWorst(walk.facts, 'uses syntax that is not known')
  } else if (typeof value['relname'] === 'string') noteRelation(value, walk, false)
  else if (field === 'typeName') HANDLERS['TypeName']?.(value, walk)
  else if (STRUCTURES.has(field) || !walk.strict) walkMembers(value, walk)
  else raiseWorst(walk.facts, 'uses syntax that is not known to be harmless')
}

/** Notes a relation as touched. `target`: the statement changes it; then no WITH query can hide it. */
export function noteRelation(relation: JsonObject, walk: Walk, target: boolean): void {
  const name = toText(relation['relname']) ?? '*'
  const schema = toText(relation['schemaname'])
  if (schema === undefined && !target && walk.ctes.has(name)) return
  const parts = [toText(relation['catalogname']), schema, name]
  walk.facts.objects.add(parts.filter((part) => part !== undefined).join('.'))
  if (SECRET_RELATIONS.has(name)) raise(walk.facts, ['admin'], `reads \`${name}\`, which holds secrets of the server`)
  const catalog =
    schema === undefined ? name.startsWith('pg_') : /^(pg_catalog|pg_toast|information_schema)$/.test(schema)
  if (target && catalog) raise(walk.facts, ['admin'], 'changes the catalog of the server')
}

function judgeColumn(fields: readonly Json[], walk: Walk): void {
  const name = toStringNode(fields.at(-1))
  const qualifier = toStringNode(fields.at(-2))
  if (name === undefined || qualifier === undefined) return
  const columns = walk.calls.get(qualifier)
  if (columns !== undefined && !columns.has(name) && !RESULT_COLUMNS.has(name)) judgeField(walk.facts, name)
  else if (isNotable(name)) judgeField(walk.facts, name)
}

/** The aliases of all functions in FROM anywhere in a statement, with the columns that are known of each. */
export function findCalls(value: Json | undefined, found: Map<string, Set<string>> = new Map()): typeof found {
  if (Array.isArray(value)) for (const item of value) findCalls(item, found)
  if (!isJsonObject(value)) return found
  const call = value['RangeFunction']
  if (isJsonObject(call)) noteCall(call, found)
  for (const member of Object.values(value)) findCalls(member, found)
  return found
}

function noteCall(call: JsonObject, found: Map<string, Set<string>>): void {
  const alias = isJsonObject(call['alias']) ? call['alias'] : {}
  const columns = [
    ...toNames(alias['colnames']),
    ...toList(call['coldeflist']).map((column) => toText(toNode(column)?.body['colname']) ?? '*'),
  ]
  const aliases = [toText(alias['aliasname']) ?? toFunctionNames(call['functions'])].flat()
  for (const name of aliases) found.set(name, new Set([...(found.get(name) ?? []), ...columns, name]))
}

/** What expressions that are no calls go by, without an alias (`FigureColname` of PostgreSQL). */
const UNNAMED: readonly string[] = `coalesce greatest least nullif xmlconcat xmlelement xmlforest xmlparse xmlpi xmlroot
  xmlserialize json json_scalar json_serialize json_object json_array json_objectagg json_arrayagg json_exists json_query
  json_value merge_action`.split(/\s+/)

/** Without an alias, each function goes by its own name. */
function toFunctionNames(value: Json | undefined): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(toFunctionNames)
  const node = toNode(value)
  if (node?.tag === 'FuncCall') return toNames(node.body['funcname']).slice(-1)
  if (node?.tag === 'SQLValueFunction')
    return [(toText(node.body['op']) ?? '*').replace(/^SVFOP_|_N$/g, '').toLowerCase()]
  return node?.tag === 'List' ? toFunctionNames(node.body['items']) : UNNAMED
}
