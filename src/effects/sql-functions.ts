/**
 * @module
 * What calling a function, using an operator or converting to a type does. Closed: what is not known runs code.
 */
import type { EffectKind } from '../core/effect.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { raise, toNames, type Facts } from './sql-facts.ts'
import { BUILT_IN_TYPES, HARMLESS_FUNCTIONS, HARMLESS_OPERATORS } from './sql-lists.ts'

interface Rule {
  readonly names: RegExp
  readonly kinds: readonly EffectKind[]
  readonly does: string
}

const RULES: readonly Rule[] = [
  { names: /^(nextval|setval)$/, kinds: ['write'], does: 'advances a sequence' },
  { names: /^setseed$/, kinds: ['write'], does: 'changes the state of the session' },
  { names: /^pg_(try_)?advisory_/, kinds: ['write'], does: 'takes or gives up a lock that others wait for' },
  { names: /^lo_unlink$/, kinds: ['delete'], does: 'deletes a large object' },
  { names: /^lo_(import|export)$/, kinds: ['write', 'execute', 'admin'], does: 'reaches files of the server' },
  {
    names:
      /^(lo_(close|creat|create|from_bytea|get|lseek|open|put|tell|truncate|lseek64|tell64|truncate64)|loread|lowrite)$/,
    kinds: ['write'],
    does: 'opens or changes a large object',
  },
  { names: /^pg_notify$/, kinds: ['write', 'send'], does: 'notifies other sessions' },
  { names: /^dblink/, kinds: ['delete', 'send', 'execute'], does: 'runs SQL on another server' },
  { names: /_to_xml(schema|_and_xmlschema)?$/, kinds: ['execute'], does: 'runs SQL or reads what is named in a value' },
  { names: /^ts_(stat|rewrite)$/, kinds: ['execute'], does: 'runs SQL text' },
  { names: /^pg_sleep/, kinds: ['execute'], does: 'holds the connection for as long as it says' },
  { names: /^set_config$/, kinds: ['admin'], does: 'changes a setting of the session' },
  {
    names: /^pg_(read_|ls_|stat_file$|current_logfile$|hba_|ident_|show_all_file_|control_|config$)/,
    kinds: ['execute', 'admin'],
    does: 'reaches files of the server',
  },
  {
    names:
      /^pg_(terminate_|cancel_|reload_|rotate_|promote$|switch_|create_|drop_|copy_|backup_|start_|stop_|wal_replay_|log_|logical_|replication_|sync_|stat_reset|clear_|restore_|import_|export_snapshot$)/,
    kinds: ['write', 'execute', 'admin'],
    does: 'administers the server',
  },
  {
    names: /^(binary_upgrade_|(brin_(desummarize|summarize)_|gin_clean_pending_))/,
    kinds: ['write', 'execute', 'admin'],
    does: 'administers the server',
  },
]

/** Judges a call of the function named by `parts`, of which the last is the name and the one before the schema. */
export function judgeCall(facts: Facts, parts: readonly string[]): void {
  const name = parts.at(-1) ?? '*'
  const builtIn = parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog')
  // `type(value)` is a conversion.
  if (builtIn && (HARMLESS_FUNCTIONS.has(name) || BUILT_IN_TYPES.has(name))) return
  const rule = RULES.find(({ names }) => names.test(name))
  facts.objects.add(`function:${parts.join('.')}`)
  facts.bounded = false
  if (rule !== undefined) raise(facts, rule.kinds, `calls \`${name}\`, which ${rule.does}`)
  // A function of another schema that bears a known name does what its owner wrote, so its rule is not enough.
  if (rule !== undefined && builtIn) return
  facts.objects.add('*')
  raise(facts, ['execute'], `calls \`${name}\`, which is not known to be harmless`)
}

/** True for a name that is more than harmless whatever holds it, so that a column of that name is suspect. */
export function isNotable(name: string): boolean {
  return RULES.some(({ names }) => names.test(name))
}

/**
 * Judges `(value).name` and `alias.name` where `alias` stands for the value of a function: PostgreSQL reads it as
 * `name(value)` when there is no such column (manual, §8.16.5 and §11.5.4 of "Functional notation").
 */
export function judgeField(facts: Facts, name: string): void {
  if (HARMLESS_FUNCTIONS.has(name)) return
  judgeCall(facts, [name])
  facts.why.add('uses field notation, by which PostgreSQL also calls functions')
}

/** Judges an operator: those of `pg_catalog`, unqualified or qualified as such, are harmless; others call functions. */
export function judgeOperator(facts: Facts, name: Json | undefined): void {
  const parts = toNames(name)
  const symbol = parts.at(-1) ?? '*'
  const known = parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog')
  // `~~` and its kin also stand for LIKE; the words of BETWEEN are written as operators by the parser.
  if (known && (HARMLESS_OPERATORS.has(symbol) || /^(NOT )?BETWEEN( SYMMETRIC)?$/.test(symbol))) return
  facts.objects.add('*')
  raise(facts, ['execute'], 'uses an operator that is not known to be harmless')
}

/** Judges a conversion: a type of a user may convert by functions of its own, a domain has constraints that run. */
export function judgeType(facts: Facts, type: JsonObject): void {
  if (isBuiltInType(type)) return
  facts.objects.add(`type:${toNames(type['names']).join('.')}`)
  raise(facts, ['execute'], 'converts to a type that PostgreSQL does not bring, which can run code of its owner')
}

/** True for a type of `pg_catalog` or an array of one. */
export function isBuiltInType(type: JsonObject): boolean {
  if (type['pct_type'] === true) return false
  const parts = toNames(type['names'])
  const name = parts.at(-1) ?? '*'
  const known = parts.length === 1 || (parts.length === 2 && parts[0] === 'pg_catalog')
  return known && (BUILT_IN_TYPES.has(name) || BUILT_IN_TYPES.has(name.replace(/^_/, '')))
}
