/** @module Constraints on one argument (stub, being filled in). */
import type { Constraint } from './grant.ts'
import type { Json } from './json.ts'

export function satisfies(_constraint: Constraint, _value: Json | undefined): boolean {
  return false
}
