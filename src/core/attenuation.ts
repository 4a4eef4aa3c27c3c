/** @module Attenuation (stub, being filled in). */
import type { Constraint, Grant } from './grant.ts'

export function isContained(_child: Constraint, _parent: Constraint): boolean {
  return false
}
export function isGrantContained(_child: Grant, _parent: Grant): boolean {
  return false
}
