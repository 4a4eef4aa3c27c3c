/**
 * @module
 * What is found out about one SQL text while its tree is walked. It only rises: nothing that was found is taken back.
 */
import { joinEffect, toEffect, toWorstReport, type Effect, type EffectKind, type EffectReport } from '../core/effect.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

export interface Facts {
  effect: Effect
  bounded: boolean
  readonly objects: Set<string>
  readonly destinations: Set<string>
  readonly why: Set<string>
}

export function createFacts(): Facts {
  return {
    effect: toEffect('read'),
    bounded: true,
    objects: new Set(),
    destinations: new Set(),
    why: new Set(),
  }
}

/** Adds effects and the reason for them. What runs code or administers is never bounded; what sends goes anywhere. */
export function raise(facts: Facts, kinds: readonly EffectKind[], why: string): void {
  for (const kind of kinds) facts.effect = joinEffect(facts.effect, toEffect(kind))
  if (kinds.includes('execute') || kinds.includes('admin')) facts.bounded = false
  if (kinds.includes('send')) facts.destinations.add('*')
  facts.why.add(why)
}

/** Assumes the worst: the tree holds something that is not known. */
export function raiseWorst(facts: Facts, why: string): void {
  const worst = toWorstReport(why)
  facts.effect = worst.effect
  facts.bounded = false
  facts.destinations.add('*')
  facts.objects.add('*')
  facts.why.add(why)
}

export function toReport(facts: Facts): EffectReport {
  const plain = facts.effect.level === 'read' && facts.effect.beside.length === 0
  return {
    effect: facts.effect,
    reversible: plain,
    bounded: facts.bounded,
    destinations: [...facts.destinations].toSorted(),
    objects: [...facts.objects].toSorted(),
    why: facts.why.size === 0 ? ['reads'] : [...facts.why],
    source: 'parser',
  }
}

/** A node of the tree as libpg_query writes it: `{Tag: {…}}`. */
export interface TreeNode {
  readonly tag: string
  readonly body: JsonObject
}

/** The node in `value`, when it is one. Tags are the only members that start with a capital. */
export function toNode(value: Json | undefined): TreeNode | undefined {
  if (!isJsonObject(value)) return undefined
  const [tag, ...more] = Object.keys(value)
  if (tag === undefined || more.length > 0 || !/^[A-Z]/.test(tag)) return undefined
  const body = value[tag]
  return isJsonObject(body) ? { tag, body } : undefined
}

/** The body of the node in `value` when its tag is `tag`. */
export function toBody(value: Json | undefined, tag: string): JsonObject | undefined {
  const node = toNode(value)
  return node?.tag === tag ? node.body : undefined
}

export function toList(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

export function toText(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

/** The text of a `String` node. */
export function toStringNode(value: Json | undefined): string | undefined {
  return toText(toBody(value, 'String')?.['sval'])
}

/** The parts of a dotted name; `*` for a part that is no name. */
export function toNames(value: Json | undefined): readonly string[] {
  return toList(value).map((part) => toStringNode(part) ?? '*')
}
