/** @module The human form of a grant (stub, being filled in). */
import { InputError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { Json } from './json.ts'

export interface ParseGrantOptions {
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** The thumbprint of an enrolled agent key, by name or thumbprint. */
  readonly resolveActor: (nameOrJkt: string) => string | undefined
  readonly issuedBy: Grant['issuedBy']
}
export function parseGrant(_value: Json, _options: ParseGrantOptions): Grant {
  throw new InputError('not written yet')
}
