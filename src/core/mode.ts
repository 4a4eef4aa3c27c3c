/**
 * @module
 * Which mode an action is decided in, and what says so. Pure. The file may always enforce more; whatever is to be observed
 * needs a signed act of an operator that is in force, because leaving `enforce` widens (design §2, "Modes").
 */
import { canonicalBytes } from './canonical.ts'
import { isAtMost, toEffect, type Effect, type EffectKind } from './effect.ts'
import type { Mode } from './request.ts'

/** What a rule or an act is about; a member that is absent means every one. */
export interface ModeScope {
  readonly upstream?: string
  /** Of `upstream`, which then has to be named. */
  readonly tool?: string
  /** In a rule of the file a name or a thumbprint; in an act always the thumbprint of the key. */
  readonly actor?: string
  /** `observe`: what does at most this. `enforce`: what does at least this. */
  readonly effect?: EffectKind
}

/** A rule of the configuration. */
export interface ModeRule extends ModeScope {
  readonly mode: Mode
  /** Where it stands, for example `modes[0]` or `upstreams[1].mode`. */
  readonly place: string
}

/** What the configuration says. */
export interface ModeFile {
  readonly mode: Mode
  readonly rules: readonly ModeRule[]
}

/** What an operator said, in the order in which they said it. */
export interface ModeAct extends ModeScope {
  readonly id: string
  readonly mode: Mode
  /** Thumbprint of the operator's key. */
  readonly by: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Of `observe`, always: milliseconds since the epoch. */
  readonly expires?: number
  /** Of `observe`: it says yes to what the file says, and to nothing where the file says `enforce`. */
  readonly configured?: boolean
  readonly note?: string
  /** Of `observe`, always: base64url, over `toModeMessage`. */
  readonly signature?: string
}

/** What is known of the action. Before it is decided, tool, actor and effect may not be known. */
export interface ModeFacts {
  readonly upstream: string
  readonly tool?: string
  /** The enrolled key that proved the request. */
  readonly actor?: { readonly jkt: string; readonly name: string }
  readonly effect?: Effect
}

export interface DecidedMode {
  readonly mode: Mode
  /** `mode`, `modes[0]`, `upstreams[1].mode`, the same with ` unsigned` behind it, or `act ID`. */
  readonly from: string
}

/** How long `enforce` may be left by one act, in milliseconds: 30 days. */
export const MAX_OBSERVE_MS: number = 30 * 86_400_000
/** How far the clock of whoever signed may be ahead, in milliseconds. */
const SKEW_MS = 5 * 60_000
const DOMAIN = new TextEncoder().encode('unbearer-mode-v1\0')

/**
 * The mode of an action: a rule of the file that enforces; else the newest act in force that is about it; else `enforce`,
 * also where the file says `observe`. `acts` hold, oldest first, only those whose signatures were verified and whose
 * operators may still act: this function verifies nothing.
 */
export function resolveMode(file: ModeFile, acts: readonly ModeAct[], facts: ModeFacts, now: number): DecidedMode {
  const floor = file.rules.find((rule) => rule.mode === 'enforce' && isNarrowedBy(rule, facts))
  if (floor !== undefined) return { mode: 'enforce', from: floor.place }
  const wish = toWish(file, facts)
  const act = acts.findLast(
    (each) => isInForce(each, now) && isAbout(each, facts) && (each.configured !== true || wish !== undefined),
  )
  if (act !== undefined) return { mode: act.mode, from: `act ${act.id}` }
  return { mode: 'enforce', from: wish === undefined ? 'mode' : `${wish} unsigned` }
}

/** Where the file says `observe` about this; undefined where it does not. */
function toWish(file: ModeFile, facts: ModeFacts): string | undefined {
  const rule = file.rules.find(({ mode, ...scope }) => mode === 'observe' && isCoveredBy(scope, facts))
  return rule?.place ?? (file.mode === 'observe' ? 'mode' : undefined)
}

/** An act names a key and never a name, which could be chosen to look like the thumbprint of another agent. */
function isAbout(act: ModeAct, given: ModeFacts): boolean {
  const facts = given.actor === undefined ? given : { ...given, actor: { ...given.actor, name: given.actor.jkt } }
  return act.mode === 'enforce' ? isNarrowedBy(act, facts) : isCoveredBy(act, facts)
}

/** To be observed, everything that the scope names has to be known to fit. */
function isCoveredBy(scope: ModeScope, facts: ModeFacts): boolean {
  const { effect } = scope
  return isIn(scope, facts) && (effect === undefined || (facts.effect !== undefined && fits(facts.effect, effect)))
}

/** To be enforced, it is enough to do what the scope names, whatever else is done beside it. */
function isNarrowedBy(scope: ModeScope, facts: ModeFacts): boolean {
  const { effect } = scope
  return isIn(scope, facts) && (effect === undefined || (facts.effect !== undefined && holds(facts.effect, effect)))
}

function fits(effect: Effect, most: EffectKind): boolean {
  return isAtMost(effect, toEffect(most))
}

function holds(effect: Effect, least: EffectKind): boolean {
  return isAtMost(toEffect(least), effect)
}

function isIn({ upstream, tool, actor }: ModeScope, facts: ModeFacts): boolean {
  return (
    (upstream === undefined || upstream === facts.upstream) &&
    (tool === undefined || tool === facts.tool) &&
    (actor === undefined || actor === facts.actor?.jkt || actor === facts.actor?.name)
  )
}

/**
 * True while an act counts by its times. `observe` without an end, or with one too far away, never counts; neither does one
 * from the future, so that a clock that was set back does not bring an old one to life before its time.
 */
export function isInForce({ mode, at, expires }: ModeAct, now: number): boolean {
  if (mode === 'enforce') return true
  if (expires === undefined) return false
  return at - SKEW_MS <= now && now < expires && expires - at <= MAX_OBSERVE_MS
}

/** True when whatever `inner` is about, `outer` is about as well. */
export function isScopeWithin(inner: ModeScope, outer: ModeScope): boolean {
  return (['upstream', 'tool', 'actor', 'effect'] as const).every(
    (name) => outer[name] === undefined || outer[name] === inner[name],
  )
}

/** The places where the file says `observe` and no act in force says so of all that it is about: enforced there. */
export function findUnsigned(file: ModeFile, inForce: readonly ModeAct[]): readonly string[] {
  const wishes: readonly ModeRule[] = [{ mode: file.mode, place: 'mode' }, ...file.rules]
  const isSigned = (rule: ModeRule): boolean =>
    inForce.some((act) => act.mode === 'observe' && isScopeWithin(toScope(rule), toScope(act)))
  return wishes.filter((rule) => rule.mode === 'observe' && !isSigned(rule)).map(({ place }) => place)
}

/** What an operator signs to observe: `unbearer-mode-v1`, a zero byte, RFC 8785 of the act and the installation's name. */
export function toModeMessage(act: Omit<ModeAct, 'signature'>, issuer: string): Uint8Array {
  const { id, mode, by, at, expires, configured, note } = act
  const bytes = canonicalBytes({ issuer, id, mode, by, at, expires, configured, note, ...toScope(act) })
  const message = new Uint8Array(DOMAIN.length + bytes.length)
  message.set(DOMAIN)
  message.set(bytes, DOMAIN.length)
  return message
}

/** The scope alone, without absent members. */
export function toScope({
  upstream,
  tool,
  actor,
  effect,
}: { readonly [Name in keyof ModeScope]: ModeScope[Name] | undefined }): ModeScope {
  return {
    ...(upstream === undefined ? {} : { upstream }),
    ...(tool === undefined ? {} : { tool }),
    ...(actor === undefined ? {} : { actor }),
    ...(effect === undefined ? {} : { effect }),
  }
}
