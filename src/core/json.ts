/**
 * @module
 * The JSON values that Unbearer works on. A member whose value is `undefined` counts as absent everywhere.
 */

export type Json = null | boolean | number | string | readonly Json[] | JsonObject

export interface JsonObject {
  readonly [key: string]: Json | undefined
}

/** True for a JSON object (not null, not an array). Does not look at the members. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Views one of our own plain-data types as JSON. TypeScript gives interfaces no index signature, so that the compiler
 * cannot see it by itself. Only for types declared in `core` whose members are JSON; looks at nothing at run time.
 */
export function asJson(value: object): JsonObject {
  if (isOurs(value)) return value
  throw new TypeError('not plain data')
}

function isOurs(value: object): value is JsonObject {
  return !Array.isArray(value)
}
