/**
 * @module
 * PostgreSQL's own parser, as WebAssembly (`libpg-query`). A trap inside it (its stack overflows) leaves its memory
 * damaged, and a damaged parser may return a wrong tree: an instance that trapped is never asked again.
 */
import createModule, { type PgQueryModule } from 'libpg-query/wasm/libpg-query.js'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export type Parsed =
  | { readonly ok: true; readonly statements: readonly JsonObject[] }
  | { readonly ok: false; readonly why: string }

/**
 * Loads the parser. The returned function is synchronous and never throws; after a trap it answers that it is starting
 * again until a new instance is up (some 10 ms). Does not judge anything, and does not look for hazards in the text.
 */
export async function createSqlParser(): Promise<(sql: string) => Parsed> {
  let instance: PgQueryModule | undefined = await createModule()
  const replace = async (): Promise<void> => {
    instance = undefined
    // Where even that fails there is no parser, and every text is the worst case.
    instance = await createModule().catch(() => undefined)
  }
  return (sql) => {
    if (instance === undefined) return { ok: false, why: 'cannot be parsed while the parser starts again' }
    try {
      return parseWith(instance, sql)
    } catch {
      replace().catch(() => undefined)
      return { ok: false, why: 'cannot be parsed: the parser gave up' }
    }
  }
}

/** Offsets into `PgQueryParseResult` of libpg_query: the tree, what went to standard error, the error. */
const TREE = 0
const FAULT = 8

function parseWith(pg: PgQueryModule, sql: string): Parsed {
  const { _malloc: allocate, _free: free, _wasm_parse_query_raw: parse, _wasm_free_parse_result: release } = pg
  const bytes = pg.lengthBytesUTF8(sql) + 1
  const text = allocate(bytes)
  pg.stringToUTF8(sql, text, bytes)
  const result = parse(text)
  const failed = result === 0 || pg.getValue(result + FAULT, 'i32') !== 0
  const tree = failed ? undefined : pg.UTF8ToString(pg.getValue(result + TREE, 'i32'))
  free(text)
  if (result !== 0) release(result)
  return tree === undefined ? { ok: false, why: 'cannot be parsed' } : toStatements(tree)
}

function toStatements(tree: string): Parsed {
  const parsed: Json = JSON.parse(tree)
  const list = isJsonObject(parsed) ? parsed['stmts'] : undefined
  if (!Array.isArray(list)) return { ok: false, why: 'cannot be parsed' }
  const statements = list.map((raw: Json) => (isJsonObject(raw) ? raw['stmt'] : undefined))
  const known = statements.filter((statement) => isJsonObject(statement))
  return known.length === list.length ? { ok: true, statements: known } : { ok: false, why: 'cannot be parsed' }
}
