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
