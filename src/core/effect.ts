/**
 * @module
 * The one lattice of effects for every plane: `read < write < delete`, and beside it `send` (leaves the trust domain),
 * `spend`, `execute`, `admin`. An effect is a point of the product; joins only rise. Design §4.
 */

export const LEVELS = ['read', 'write', 'delete'] as const
export const BESIDE = ['send', 'spend', 'execute', 'admin'] as const

export type EffectLevel = (typeof LEVELS)[number]
export type EffectBeside = (typeof BESIDE)[number]
export type EffectKind = EffectLevel | EffectBeside

/** A point of the lattice. `beside` is sorted in the order of `BESIDE`, without repetition. */
export interface Effect {
  readonly level: EffectLevel
  readonly beside: readonly EffectBeside[]
}

/** What an action was computed to do. Never under-reports; what cannot be proven harmless is `WORST`. */
export interface EffectReport {
  readonly effect: Effect
  readonly reversible: boolean
  /** True when the number of things touched is bounded by the action itself (a key, a LIMIT with a selector). */
  readonly bounded: boolean
  /** Where data leaves to: addresses, hosts, URLs; `*` when that cannot be told. */
  readonly destinations: readonly string[]
  /** What is touched: tables, paths, resources, in the vocabulary of the plane; `*` when that cannot be told. */
  readonly objects: readonly string[]
  /** One clause per conclusion, for people; never holds a value of an argument. */
  readonly why: readonly string[]
  readonly source: 'parser' | 'manifest' | 'undetermined'
  /**
   * Of rows that a command chose: output name to the columns behind it, where it is not their own. Present only when every
   * output is a column as it stands in a table; absent: what stands under which name cannot be told.
   */
  readonly renamed?: Readonly<Record<string, readonly string[]>>
  /** Of rows that a command computed: every column that went into them. Absent: that cannot be told either. */
  readonly mentioned?: readonly string[]
}

/** The least upper bound of two effects. */
export function joinEffect(a: Effect, b: Effect): Effect {
  const level = LEVELS.indexOf(a.level) >= LEVELS.indexOf(b.level) ? a.level : b.level
  return { level, beside: BESIDE.filter((kind) => a.beside.includes(kind) || b.beside.includes(kind)) }
}

/** True when `a` is at most `b` in the lattice. */
export function isAtMost(a: Effect, b: Effect): boolean {
  return LEVELS.indexOf(a.level) <= LEVELS.indexOf(b.level) && a.beside.every((kind) => b.beside.includes(kind))
}

/** The least effect that holds `kind`. */
export function toEffect(kind: EffectKind): Effect {
  return isLevel(kind) ? { level: kind, beside: [] } : { level: 'read', beside: [kind] }
}

/** The kinds that an effect holds: its level, then what stands beside it. */
export function toKinds(effect: Effect): readonly EffectKind[] {
  return [effect.level, ...effect.beside]
}

/** The one word for an effect where only one fits: the gravest kind it holds. */
export function toHeadline(effect: Effect): EffectKind {
  return effect.beside.at(-1) ?? effect.level
}

/** True when the action changes something or reaches out: everything but a plain read. */
export function isConsequential(effect: Effect): boolean {
  return effect.level !== 'read' || effect.beside.length > 0
}

export function isEffectKind(value: string): value is EffectKind {
  return isLevel(value) || BESIDE.some((kind) => kind === value)
}

function isLevel(value: string): value is EffectLevel {
  return LEVELS.some((level) => level === value)
}

/** The worst case: what is assumed of an action about which nothing could be proven. */
export const WORST: Effect = { level: 'delete', beside: [...BESIDE] }

/** The report for an action about which nothing could be proven. */
export function toWorstReport(why: string): EffectReport {
  return {
    effect: WORST,
    reversible: false,
    bounded: false,
    destinations: ['*'],
    objects: ['*'],
    why: [why],
    source: 'undetermined',
  }
}
