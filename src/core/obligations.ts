/** @module Obligations (stub, being filled in). */
import type { Obligation } from './decision.ts'
import { InputError } from './errors.ts'
import type { Json } from './json.ts'

export function isKnownObligation(_obligation: Obligation): boolean {
  return false
}
export function discharge(_obligations: readonly Obligation[], _output: Json): Json {
  throw new InputError('not written yet', 'policy.unknown-obligation')
}
