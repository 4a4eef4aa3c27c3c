/**
 * @module
 * What a call of a tool does, by the manifest that an operator accepted, or by a parser where the manifest names one.
 */
import { joinEffect, toEffect, toWorstReport, type Effect, type EffectKind, type EffectReport } from '../core/effect.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { argumentLeavesOf } from '../core/leaves.ts'
import type { ArgumentRole, ToolFacts, ToolManifest } from '../core/manifest.ts'
import { parsePointer, valueAt } from '../core/pointer.ts'
import { roleOf } from '../core/provenance.ts'
import { partsOf } from '../core/tokens.ts'
import { toArguments } from '../core/request.ts'
import type { EffectComputer } from '../ports/effects.ts'
import { createSqlEffects, type SqlEffects } from './sql.ts'

type Known = Exclude<ToolFacts, { readonly status: 'unknown' }>

/** Leaves of the arguments that are looked at. */
const MAX_LEAVES = 1_000
/** Characters; a longer selector is not a name. */
const MAX_OBJECT = 200
/** Parts of one value that are searched for an address. */
const MAX_PARTS = 256

/**
 * Loads the parsers and returns the computer of effects. `compute` is synchronous and never throws: an unknown tool, an
 * argument that is missing or is no text, or a rule that is not known gives the worst case.
 *
 * A tool that was not accepted, or has changed since, counts as `execute` beside what its manifest says. Does not promise
 * that the tool does what its manifest says.
 */
export async function createEffectComputer(): Promise<EffectComputer> {
  const sql = await createSqlEffects()
  return {
    compute: (body, facts) => {
      try {
        const args = toArguments(body)
        const report = withUndescribed(computeEffect(args, facts, sql), facts, args)
        return facts.status === 'accepted' ? report : toDoubted(report)
      } catch {
        return toWorstReport('the effect could not be computed')
      }
    },
  }
}

function computeEffect(args: JsonObject, facts: ToolFacts, sql: SqlEffects): EffectReport {
  if (facts.status === 'unknown') return toWorstReport('the tool is not in the manifest')
  const rule = facts.tool.effect
  if (typeof rule === 'string') return toFixedReport([rule], facts, args)
  if (isKinds(rule)) return toFixedReport(rule, facts, args)
  const text = pick(args, rule.argument)
  if (typeof text !== 'string') return toWorstReport('the argument that holds the statement is missing or is no text')
  const report = sql(text)
  return { ...report, destinations: toUnion(report.destinations, toDestinations(facts, args)) }
}

/** Contracts, "Tool manifest": a draft is enforceable only when accepted, and what is undetermined is `execute`. */
function toDoubted(report: EffectReport): EffectReport {
  return {
    effect: joinEffect(report.effect, toEffect('execute')),
    reversible: false,
    bounded: false,
    destinations: toUnion(report.destinations, ['*']),
    objects: toUnion(report.objects, ['*']),
    why: [...report.why, 'nobody accepted the tool as it is'],
    source: 'undetermined',
  }
}

/**
 * An address in an argument that the manifest does not describe: nobody said that the tool does not send there what it
 * reads. Other values of such arguments are left alone, or every flag that an operator forgot would need a person.
 */
function withUndescribed(report: EffectReport, facts: ToolFacts, args: JsonObject): EffectReport {
  if (facts.status === 'unknown') return report
  const known = Object.keys(facts.tool.arguments).map((path) => path.replace(/^\//, '').split('/')[0] ?? '')
  const others = Object.fromEntries(Object.entries(args).filter(([name]) => !isDescribed(facts, known, name)))
  const leaves = argumentLeavesOf(others, MAX_LEAVES, holdsAddress)
  if (!leaves.some((leaf) => leaf === undefined || holdsAddress(String(leaf.value)))) return report
  return {
    ...report,
    effect: joinEffect(report.effect, toEffect('send')),
    reversible: false,
    why: [...report.why, 'an argument that nobody described holds an address'],
  }
}

function isDescribed({ tool }: Known, known: readonly string[], name: string): boolean {
  return (
    known.includes(name) || (isComputed(tool.effect) && tool.effect.argument.replace(/^\//, '').split('/')[0] === name)
  )
}

function isComputed(rule: ToolManifest['effect']): rule is { readonly from: 'sql'; readonly argument: string } {
  return typeof rule === 'object' && 'from' in rule
}

/** Too long to be searched counts as if. */
function holdsAddress(text: string): boolean {
  const parts = [...partsOf(text).take(MAX_PARTS)]
  return parts.length >= MAX_PARTS || parts.some(({ kind }) => kind === 'url' || kind === 'email' || kind === 'host')
}

function isKinds(rule: ToolManifest['effect']): rule is readonly EffectKind[] {
  return Array.isArray(rule)
}

function toFixedReport(kinds: readonly EffectKind[], facts: Known, args: JsonObject): EffectReport {
  const { tool } = facts
  if (kinds.length === 0) return toWorstReport('the manifest gives the tool no effect')
  const effect = kinds.map(toEffect).reduce(joinEffect)
  const plain = effect.level === 'read' && effect.beside.length === 0
  const destinations = toDestinations(facts, args)
  return {
    effect,
    reversible: tool.reversible ?? plain,
    bounded: tool.bounded ?? plain,
    destinations: effect.beside.includes('send') && destinations.length === 0 ? ['*'] : destinations,
    objects: toObjects(facts, args, effect),
    why: ['the manifest says what the tool does'],
    source: 'manifest',
  }
}

/** Short values of selectors. What changes something without a selector could be anything. */
function toObjects(facts: Known, args: JsonObject, effect: Effect): readonly string[] {
  const objects = toLeaves(facts, args, ['selector']).map((leaf) => (leaf.length <= MAX_OBJECT ? leaf : '*'))
  const consequential = effect.level !== 'read' || effect.beside.includes('execute')
  return toUnion(objects, objects.length === 0 && consequential ? ['*'] : [])
}

function toDestinations(facts: Known, args: JsonObject): readonly string[] {
  return toUnion(toLeaves(facts, args, ['destination', 'recipient']).map(toDestination), [])
}

/** Every leaf of the arguments that has one of `roles`, as text; `*` for those past the limit. */
function toLeaves(facts: Known, args: JsonObject, roles: readonly ArgumentRole[]): readonly string[] {
  const found: string[] = []
  for (const leaf of argumentLeavesOf(args, MAX_LEAVES, () => false)) {
    if (leaf === undefined) found.push('*')
    // A flag names nothing and is no address.
    else if (typeof leaf.value !== 'boolean' && roles.includes(roleOf(facts, leaf.segments)))
      found.push(String(leaf.value))
  }
  return found
}

/** The value of an argument by its plain name, or by an RFC 6901 pointer, with or without its leading slash. */
function pick(args: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(args, path)) return args[path]
  const parts = parsePointer(path.replace(/^\//, ''))
  return parts === undefined ? undefined : valueAt(args, parts)
}

/** A URL without its credentials, query and fragment, normalised; an address with its domain in lower case. */
function toDestination(value: string): string {
  const text = value.trim()
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return toUrl(text)
  const at = text.lastIndexOf('@')
  return at > 0 ? text.slice(0, at + 1) + text.slice(at + 1).toLowerCase() : text
}

function toUrl(text: string): string {
  const url = URL.parse(text)
  return url === null || url.host === '' ? '*' : `${url.protocol}//${url.host}${url.pathname.replace(/\/$/, '')}`
}

function toUnion(a: readonly string[], b: readonly string[]): readonly string[] {
  return [...new Set([...a, ...b])].toSorted()
}
