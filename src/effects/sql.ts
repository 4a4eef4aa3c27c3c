/**
 * @module
 * What a text of SQL does, by PostgreSQL's own parser. It never under-reports as far as the text tells: the lists of
 * node types, functions, operators and types that are known to be harmless are closed, and the rest is not harmless.
 */
import { isConsequential, toWorstReport, type EffectReport } from '../core/effect.ts'
import type { JsonObject } from '../core/json.ts'
import { createFacts, raise, raiseWorst, toNode, toReport, type Facts } from './sql-facts.ts'
import { createSqlParser, type Parsed } from './sql-parser.ts'
import { findMentioned, findRenamed } from './sql-names.ts'
import { limitTo } from './sql-queries.ts'
import { walkStatement } from './sql-statements.ts'
import { findTextHazard } from './sql-text.ts'
import { findCalls } from './sql-walk.ts'

interface SqlOptions {
  /**
   * True when the database session is ours alone: then `standard_conforming_strings` is known to be on, and transaction
   * control as a statement of its own and FETCH are tracked by whoever owns the session. Default false.
   */
  readonly ownSession?: boolean
}

export type SqlEffects = (sql: string, options?: SqlOptions) => EffectReport

/**
 * Loads the parser (some 40 ms) and returns the function that judges a text of one or more statements: the join over
 * them. It is synchronous and never throws; what cannot be parsed, or is longer than 64 KiB, is the worst case, with
 * source `undetermined`.
 *
 * Does not look into the database. Not promised: that a view, a rule, a trigger, a row-security policy, a column default,
 * a domain, a computed column (`table.function`) or an overload of a built-in function or operator under a changed
 * `search_path` does nothing else. Run a `read` in a READ ONLY transaction under a role that may do no more.
 */
export async function createSqlEffects(): Promise<SqlEffects> {
  const parse = await createSqlParser()
  return (sql, options = {}) => {
    try {
      return toEffects(sql, options.ownSession === true, parse)
    } catch {
      // A tree too deep for our own walk, or a bug in it: either way nothing was proven.
      return toWorstReport('cannot be parsed: the judgement was given up')
    }
  }
}

function toEffects(sql: string, ownSession: boolean, parse: (sql: string) => Parsed): EffectReport {
  const hazard = findTextHazard(sql)
  if (hazard !== undefined && !(ownSession && hazard.kind === 'quoting')) return toWorstReport(hazard.why)
  const parsed = sql === '' ? { ok: true as const, statements: [] } : parse(sql)
  if (!parsed.ok) return toWorstReport(parsed.why)
  const facts = createFacts()
  if (parsed.statements.length === 0) facts.why.add('holds no statement')
  for (const statement of parsed.statements) judge(statement, ownSession, facts)
  judgeTransactions(parsed.statements, ownSession, facts)
  const renamed = findRenamed(parsed.statements)
  const report = toReport(facts)
  if (renamed !== undefined) return { ...report, renamed }
  // What calls unknown code reads whatever it likes.
  const mentioned = isConsequential(report.effect) ? undefined : findMentioned(parsed.statements)
  return { ...report, ...(mentioned === undefined ? {} : { mentioned }) }
}

function judge(statement: JsonObject, ownSession: boolean, facts: Facts): void {
  const node = toNode(statement)
  if (node === undefined) return raiseWorst(facts, 'is a statement that is not known')
  if (ownSession && node.tag === 'FetchStmt') {
    facts.bounded = false
    facts.objects.add('*')
    facts.why.add('moves a cursor of this session')
    return
  }
  const walk = { facts, ctes: new Set<string>(), calls: findCalls(statement), strict: true, statement: walkStatement }
  if (!walkStatement(node.tag, node.body, walk)) raiseWorst(facts, 'is a statement that is not known')
  limitTo(statement, facts)
}

/** `COMMIT; DROP …` leaves the READ ONLY transaction that somebody wrapped around the text. */
function judgeTransactions(statements: readonly JsonObject[], ownSession: boolean, facts: Facts): void {
  const controls = statements.some((statement) => toNode(statement)?.tag === 'TransactionStmt')
  if (!controls || (ownSession && statements.length === 1)) return
  raise(facts, ['admin'], 'can end the transaction that it is run in')
}
