/**
 * @module
 * The statements that work on rows: SELECT, INSERT, UPDATE, DELETE, MERGE, wherever they stand, and the scope of WITH.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isBoundedChange, isBoundedInsert, isBoundedSelect } from './sql-bounds.ts'
import { raise, raiseWorst, toBody, toList, toText, type Facts } from './sql-facts.ts'
import { noteRelation, walkMembers, walkValue, type Walk } from './sql-walk.ts'

type Handler = (body: JsonObject, walk: Walk) => void

/** By tag. Whether a SELECT is bounded is asked by whoever runs it (`limitTo`), not for each subquery. */
export const QUERIES: Readonly<Record<string, Handler>> = {
  SelectStmt: (body, outer) => {
    const walk = enterWith(body['withClause'], outer)
    if (isJsonObject(body['intoClause'])) {
      raise(walk.facts, ['write'], 'writes its rows into a new table')
      noteTarget(body['intoClause']['rel'], walk)
    }
    if (toList(body['lockingClause']).length > 0) {
      raise(walk.facts, ['write'], 'locks the rows that it reads')
      if (!isBoundedSelect(body)) unbound(walk.facts, 'nothing bounds how many rows it locks')
    }
    walkMembers(body, walk, ['withClause', 'intoClause'])
  },
  InsertStmt: (body, outer) => {
    change(body, outer, ['write'], 'inserts rows')
    if (!isBoundedInsert(body)) unbound(outer.facts, 'inserts as many rows as its query gives')
  },
  UpdateStmt: (body, outer) => {
    change(body, outer, ['write'], 'updates rows')
    if (!isBoundedChange(body, body['fromClause'])) unbound(outer.facts, 'no equality picks the rows that it updates')
  },
  DeleteStmt: (body, outer) => {
    change(body, outer, ['delete'], 'deletes rows')
    if (!isBoundedChange(body, body['usingClause'])) unbound(outer.facts, 'no equality picks the rows that it deletes')
  },
  MergeStmt: (body, outer) => {
    const clauses = toList(body['mergeWhenClauses']).map((clause) => toBody(clause, 'MergeWhenClause'))
    const deletes = clauses.some((clause) => clause?.['commandType'] === 'CMD_DELETE')
    change(body, outer, [deletes ? 'delete' : 'write'], deletes ? 'merges and deletes rows' : 'merges rows')
    unbound(outer.facts, 'changes as many rows as its source gives')
  },
  MergeWhenClause: (body, walk) => walkMembers(body, walk),
}

/** Says whether the query whose rows a statement gives out is bounded. */
export function limitTo(query: Json | undefined, facts: Facts): void {
  const select = toBody(query, 'SelectStmt')
  if (select !== undefined && !isBoundedSelect(select)) unbound(facts, 'nothing in it bounds how many rows it gives')
}

/** Notes the table that a statement creates or changes. */
export function noteTarget(relation: Json | undefined, walk: Walk): void {
  if (isJsonObject(relation)) noteRelation(relation, walk, true)
  else raiseWorst(walk.facts, 'changes something that has no name')
}

function unbound(facts: Facts, why: string): void {
  facts.bounded = false
  facts.why.add(why)
}

function change(body: JsonObject, outer: Walk, kinds: readonly ['write' | 'delete'], why: string): void {
  const walk = enterWith(body['withClause'], outer)
  raise(walk.facts, kinds, why)
  noteTarget(body['relation'], walk)
  walkMembers(body, walk, ['withClause', 'relation'])
}

/** The walk within a statement that has a WITH: its queries are walked, and their names hide tables from there on. */
function enterWith(value: Json | undefined, outer: Walk): Walk {
  if (!isJsonObject(value)) return outer
  const queries = toList(value['ctes']).map((cte) => toBody(cte, 'CommonTableExpr') ?? {})
  const names = queries.map((query) => toText(query['ctename']) ?? '*')
  let walk = value['recursive'] === true ? { ...outer, ctes: new Set([...outer.ctes, ...names]) } : outer
  for (const [index, query] of queries.entries()) {
    // Only a name that is its own may hide a table: without RECURSIVE a query sees those before it and not itself.
    walkCte(query, walk)
    walk = { ...walk, ctes: new Set([...walk.ctes, names[index] ?? '*']) }
  }
  return walk
}

function walkCte(query: JsonObject, walk: Walk): void {
  const { ctequery } = query
  if (!isJsonObject(ctequery)) return raiseWorst(walk.facts, 'uses syntax that is not known to be harmless')
  walkValue(ctequery, 'ctequery', walk)
  walkMembers(query, walk, ['ctequery'])
}
