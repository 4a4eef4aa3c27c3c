/**
 * @module
 * Which label a leaf of an output has, by the `output` of the tool manifest (contracts, "Tool manifest").
 *
 * Paths and patterns are segments: names, and `[]` for any element of an array: `rows[].note`, `[].note`; `*` in a pattern
 * is any one name. The longest pattern that matches wins. A pattern that names the whole path replaces the label. One that
 * shares only its end with the path (`note` for `rows[].note`; `rows[].note` for `[].note`, as a server that gives the bare
 * array does) can only worsen it, so that a look-alike place never gains trust.
 */
import { joinLabel, type Label, type ToolManifest } from './manifest.ts'

type Output = ToolManifest['output'] | Label

interface Pattern {
  readonly segments: readonly string[]
  readonly label: Label
}

/** `rows[].note` to `['rows', '[]', 'note']`. */
export function toSegments(path: string): readonly string[] {
  return path
    .replaceAll('[]', '.[]')
    .split('.')
    .filter((segment) => segment !== '')
}

/** Labels the leaves of one output. */
export interface Labeller {
  /** The label of the leaf at `path`. */
  label(path: readonly string[]): Label
  /** The join of every label that the manifest names: for what could not be taken apart. */
  readonly worst: Label
}

/** The labeller for the `output` of a manifest. A pattern without segments matches nothing. */
export function createLabeller(output: Output): Labeller {
  const base: Label = { trust: output.trust, confidentiality: output.confidentiality }
  const fields = 'fields' in output ? (output.fields ?? {}) : {}
  const patterns = Object.entries(fields)
    .map(([path, label]): Pattern => ({ segments: toSegments(path), label: { ...base, ...label } }))
    .filter(({ segments }) => segments.length > 0)
  return {
    label: (path) => labelAt(base, patterns, path),
    worst: patterns.reduce<Label>((joined, { label }) => joinLabel(joined, label), base),
  }
}

function labelAt(base: Label, patterns: readonly Pattern[], path: readonly string[]): Label {
  const matching = patterns.filter(({ segments }) => endsAlike(segments, path))
  const longest = Math.max(0, ...matching.map(weightOf))
  const named = matching.filter((pattern) => weightOf(pattern) === longest)
  return named.reduce(
    (label, pattern) => (pattern.segments.length === path.length ? pattern.label : joinLabel(label, pattern.label)),
    base,
  )
}

// More segments first, then fewer wildcards.
function weightOf({ segments }: Pattern): number {
  return segments.length * 100 - segments.filter((segment) => segment === '*').length
}

function endsAlike(pattern: readonly string[], path: readonly string[]): boolean {
  const shared = Math.min(pattern.length, path.length)
  if (shared === 0) return false
  for (let back = 1; back <= shared; back += 1) {
    const wanted = pattern[pattern.length - back]
    const found = path[path.length - back]
    if (wanted !== found && (wanted !== '*' || found === '[]')) return false
  }
  return true
}
