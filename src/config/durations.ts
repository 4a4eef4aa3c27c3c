/**
 * @module
 * Durations as people write them: `50ms`, `30s`, `10m`, `8h`, `30d`. Always a whole number with one unit, so that nobody
 * has to guess what a bare `30` means.
 */
import { ConfigError } from '../core/errors.ts'

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What a duration looks like; also published in the JSON Schema. */
export const DURATION_PATTERN = '^[0-9]{1,9}(ms|s|m|h|d)$'

const SHAPE = new RegExp(DURATION_PATTERN)

/** True when `text` is a duration that `parseDuration` accepts. */
export function isDuration(text: string): boolean {
  return SHAPE.test(text) && toMilliseconds(text) > 0
}

/**
 * The milliseconds of a duration. Throws `ConfigError` naming `what` when it is not one.
 * Does not judge whether the duration is sensible for its purpose; zero is refused everywhere.
 */
export function parseDuration(text: string, what = 'duration'): number {
  if (isDuration(text)) return toMilliseconds(text)
  throw new ConfigError(
    `${what}: \`${text}\` is not a duration, write a whole number with a unit such as \`30s\` or \`8h\``,
  )
}

function toMilliseconds(text: string): number {
  const [, digits = '0', unit = ''] = /^([0-9]+)([a-z]+)$/.exec(text) ?? []
  return Number(digits) * (UNITS[unit] ?? 0)
}
