/**
 * @module
 * Reading what a framework hands over, whose types differ from version to version.
 */

/** A member of an object or function; undefined of anything else. */
export function member(value: unknown, name: string): unknown {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject ? Reflect.get(value, name) : undefined
}

/** The items of an array; none of anything else. */
export function toItems(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
