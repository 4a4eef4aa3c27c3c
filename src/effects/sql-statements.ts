/**
 * @module
 * The statements that are not queries. A statement that is not named here is the worst case.
 */
import type { EffectKind } from '../core/effect.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { createFacts, raise, raiseWorst, toBody, toList, toNames, toNode, toStringNode, toText } from './sql-facts.ts'
import { limitTo, noteTarget, QUERIES } from './sql-queries.ts'
import { walkMembers, walkValue, type Walk } from './sql-walk.ts'

type Handler = (body: JsonObject, walk: Walk) => void

/** Handles a statement, also one inside another; false when the node is none that is known. */
export function walkStatement(tag: string, body: JsonObject, walk: Walk): boolean {
  const handler = [QUERIES, HANDLERS, DEFINITIONS].find((table) => Object.hasOwn(table, tag))?.[tag]
  if (handler === undefined) return false
  handler(body, walk)
  return true
}

/** A statement whose whole meaning is in its row. Its members are searched for what they would run. */
function row(kinds: readonly EffectKind[], why: string, bounded = false): Handler {
  return (body, walk) => {
    raise(walk.facts, kinds, why)
    if (!bounded) walk.facts.bounded = false
    noteNames(body, walk)
    walkMembers(body, { ...walk, strict: false })
  }
}

const DEFINES = 'defines or changes objects of the schema'
const RIGHTS = 'changes roles or rights'
const CODE = 'stores code that runs later'
const REACHES = 'connects the server to others'
const definition: Handler = row(['write', 'admin'], DEFINES)
const rights: Handler = row(['write', 'admin'], RIGHTS)
const code: Handler = row(['write', 'execute', 'admin'], CODE)
const reaches: Handler = row(['write', 'send', 'execute', 'admin'], REACHES)
const removal: Handler = row(['delete', 'admin'], 'drops objects of the server')
const upkeep: Handler = row(['write', 'admin'], 'maintains tables')
const state: Handler = row(['write'], 'changes the state of the session', true)

const toTable = (handler: Handler, tags: string): Record<string, Handler> =>
  Object.fromEntries(tags.split(/\s+/).map((tag) => [tag, handler]))

const DEFINITIONS: Readonly<Record<string, Handler>> = {
  ...toTable(
    definition,
    `AlterCollationStmt AlterDatabaseRefreshCollStmt AlterDatabaseStmt AlterDomainStmt AlterEnumStmt
    AlterObjectSchemaStmt AlterSeqStmt AlterStatsStmt AlterTSConfigurationStmt AlterTSDictionaryStmt
    AlterTableMoveAllStmt AlterTableSpaceOptionsStmt AlterTypeStmt CommentStmt CompositeTypeStmt CreateDomainStmt
    CreateEnumStmt CreatePublicationStmt CreateRangeStmt CreateSchemaStmt CreateStatsStmt CreateTableSpaceStmt
    CreatedbStmt RenameStmt ViewStmt`,
  ),
  ...toTable(
    rights,
    `AlterDefaultPrivilegesStmt AlterOwnerStmt AlterPolicyStmt AlterRoleSetStmt AlterRoleStmt CreatePolicyStmt
    CreateRoleStmt GrantRoleStmt GrantStmt ReassignOwnedStmt SecLabelStmt`,
  ),
  ...toTable(
    code,
    `AlterEventTrigStmt AlterExtensionContentsStmt AlterExtensionStmt AlterFunctionStmt AlterObjectDependsStmt
    AlterOperatorStmt AlterOpFamilyStmt CreateAmStmt CreateCastStmt CreateConversionStmt CreateEventTrigStmt
    CreateExtensionStmt CreateFunctionStmt CreateOpClassStmt CreateOpFamilyStmt CreatePLangStmt CreateTransformStmt
    CreateTrigStmt DefineStmt RuleStmt`,
  ),
  ...toTable(
    reaches,
    `AlterFdwStmt AlterForeignServerStmt AlterPublicationStmt AlterSubscriptionStmt AlterUserMappingStmt CreateFdwStmt
    CreateForeignServerStmt CreateForeignTableStmt CreateSubscriptionStmt CreateUserMappingStmt
    ImportForeignSchemaStmt`,
  ),
  ...toTable(
    removal,
    `DropOwnedStmt DropRoleStmt DropSubscriptionStmt DropTableSpaceStmt DropUserMappingStmt DropdbStmt`,
  ),
  ...toTable(upkeep, 'CheckPointStmt ClusterStmt ReindexStmt VacuumStmt'),
  ...toTable(state, 'ClosePortalStmt ConstraintsSetStmt DeallocateStmt ListenStmt UnlistenStmt'),
  AlterDatabaseSetStmt: row(['write', 'admin'], 'changes a setting for later sessions'),
  AlterSystemStmt: row(['write', 'execute', 'admin'], 'changes a setting of the server'),
  CreateSeqStmt: row(['write'], 'creates a sequence', true),
  CreateStmt: row(['write'], 'creates a table', true),
  DiscardStmt: row(['write', 'admin'], 'throws away the state of the session'),
  ExecuteStmt: row(['execute'], 'runs a statement that was prepared elsewhere'),
  IndexStmt: row(['write'], 'creates an index'),
  LoadStmt: row(['write', 'execute', 'admin'], 'loads code into the server'),
  LockStmt: row(['write'], 'locks tables'),
  NotifyStmt: row(['write', 'send'], 'notifies other sessions', true),
  RefreshMatViewStmt: row(['write', 'execute'], 'runs a stored query and replaces its rows'),
  TruncateStmt: row(['delete'], 'empties tables'),
  VariableSetStmt: row(['admin'], 'changes a setting, a role or the transaction of the session'),
}

const HANDLERS: Readonly<Record<string, Handler>> = {
  AlterTableStmt: (body, walk) => {
    const subtypes = toList(body['cmds']).map((cmd) => toText(toBody(cmd, 'AlterTableCmd')?.['subtype']) ?? '')
    if (subtypes.some((subtype) => /Drop|AlterColumnType|Detach/.test(subtype))) {
      raise(walk.facts, ['delete'], 'drops or rewrites parts of a table')
    }
    definition(body, walk)
  },
  CallStmt: (body, walk) => {
    raise(walk.facts, ['execute'], 'calls a procedure')
    walkMembers(body, { ...walk, strict: false }, ['funcexpr'])
    walkValue(isJsonObject(body['funccall']) ? { FuncCall: body['funccall'] } : undefined, 'funccall', walk)
  },
  CopyStmt: copy,
  CreateTableAsStmt: (body, walk) => {
    raise(walk.facts, ['write'], 'writes its rows into a new table')
    noteTarget(isJsonObject(body['into']) ? body['into']['rel'] : undefined, walk)
    runs(body['query'], walk)
  },
  DeclareCursorStmt: (body, walk) => runs(body['query'], walk),
  DoStmt: (_body, walk) => {
    walk.facts.objects.add('*')
    raise(walk.facts, ['delete', 'execute'], 'runs a block of code')
  },
  DropStmt: (body, walk) => {
    const kind = (toText(body['removeType']) ?? '').replace(/^OBJECT_/, '').toLowerCase()
    const data = /^(table|view|matview|sequence|index|foreign_table)$/.test(kind)
    raise(walk.facts, data ? ['delete'] : ['delete', 'admin'], `drops a ${kind.replaceAll('_', ' ')}`)
    walk.facts.bounded = false
    for (const name of toList(body['objects']).map(toDottedName))
      walk.facts.objects.add(data ? name : `${kind}:${name}`)
  },
  ExplainStmt: explain,
  FetchStmt: (body, walk) => {
    walk.facts.objects.add(`cursor:${toText(body['portalname']) ?? '*'}`)
    walk.facts.bounded = false
    raise(walk.facts, ['execute'], 'moves a cursor, which runs what it was declared for')
  },
  PrepareStmt: (body, walk) => {
    walk.facts.why.add('prepares a statement, which counts as what it will do')
    walk.facts.bounded = false
    walkMembers(body, walk, ['query'])
    runs(body['query'], walk)
  },
  TransactionStmt: (body, walk) => {
    walk.facts.why.add('controls the transaction')
    if (/PREPARE/.test(toText(body['kind']) ?? '')) raise(walk.facts, ['write', 'admin'], 'uses two-phase commit')
  },
  VariableShowStmt: (_body, walk) => {
    walk.facts.why.add('shows a setting')
  },
}

/** Walks the statement that another one runs, and takes its bound. */
function runs(query: Json | undefined, walk: Walk): void {
  const node = toNode(query)
  if (node === undefined || !walkStatement(node.tag, node.body, walk)) {
    return raiseWorst(walk.facts, 'runs a statement that is not known')
  }
  limitTo(query, walk.facts)
}

/** Planning runs no statement, but it may call functions to fold constants and to estimate; those stay `execute`. */
function explain(body: JsonObject, walk: Walk): void {
  if (toList(body['options']).some(isAnalyze)) return runs(body['query'], walk)
  const inner = createFacts()
  runs(body['query'], { ...walk, facts: inner })
  walk.facts.why.add('explains a statement without running it')
  for (const name of inner.objects) walk.facts.objects.add(name)
  if (inner.effect.beside.includes('execute')) {
    raise(walk.facts, ['execute'], 'what it explains calls code that planning may run')
  }
}

/** True unless the option is another one or is plainly switched off. */
function isAnalyze(option: Json): boolean {
  const element = toBody(option, 'DefElem')
  if (element === undefined) return true
  if ((toText(element['defname']) ?? 'analyze').toLowerCase() !== 'analyze') return false
  const value = toNode(element['arg'])
  if (value?.tag === 'Boolean') return value.body['boolval'] === true
  if (value?.tag === 'Integer') return value.body['ival'] !== undefined
  return !/^(false|off)$/i.test(toStringNode(element['arg']) ?? 'on')
}

function copy(body: JsonObject, walk: Walk): void {
  if (body['is_from'] === true) {
    raise(walk.facts, ['write'], 'copies rows into a table')
    noteTarget(body['relation'], walk)
  }
  walk.facts.bounded = false
  if (body['is_program'] === true) {
    raise(walk.facts, ['delete', 'send', 'execute', 'admin'], 'runs a program on the server')
  } else if (body['filename'] !== undefined) {
    raise(walk.facts, ['write', 'execute', 'admin'], 'reaches files of the server')
  }
  if (body['query'] !== undefined) runs(body['query'], walk)
  walkMembers(body, { ...walk, strict: false }, ['query', ...(body['is_from'] === true ? ['relation'] : [])])
}

const NAMED: readonly (readonly [string, string])[] = [
  ['role', 'role'],
  ['dbname', 'database'],
  ['extname', 'extension'],
  ['servername', 'server'],
  ['subname', 'subscription'],
  ['pubname', 'publication'],
  ['schemaname', 'schema'],
  ['tablespacename', 'tablespace'],
  ['conditionname', 'channel'],
]

/** Notes what a definition names beside relations; `*` when the statement names nothing that is known. */
function noteNames(body: JsonObject, walk: Walk): void {
  const { objects } = walk.facts
  const before = objects.size
  for (const [field, kind] of NAMED) {
    const name = toText(body[field])
    if (name !== undefined) objects.add(`${kind}:${name}`)
  }
  for (const role of [...toList(body['roles']), ...toList(body['grantees'])]) {
    objects.add(`role:${toText(toBody(role, 'RoleSpec')?.['rolename']) ?? '*'}`)
  }
  if (Array.isArray(body['funcname'])) objects.add(`function:${toNames(body['funcname']).join('.')}`)
  if (objects.size === before && !namesRelation(body)) objects.add('*')
}

function namesRelation(value: Json | undefined): boolean {
  if (Array.isArray(value)) return value.some(namesRelation)
  if (!isJsonObject(value)) return false
  return typeof value['relname'] === 'string' || Object.values(value).some(namesRelation)
}

function toDottedName(value: Json): string {
  const node = toNode(value)
  if (node?.tag === 'String') return toStringNode(value) ?? '*'
  if (node?.tag === 'List') return toNames(node.body['items']).join('.')
  if (node?.tag === 'ObjectWithArgs') return toNames(node.body['objname']).join('.')
  return node?.tag === 'TypeName' ? toNames(node.body['names']).join('.') : '*'
}
