/**
 * @module
 * Names under which Cedar keeps what it has parsed. It keeps it for good, so names of what was closed are used again.
 */
import { preparsePolicySet, preparseSchema, type CheckParseAnswer, type Schema } from '@cedar-policy/cedar-wasm/nodejs'

import { ConfigError } from '../core/errors.ts'
import { toStaticPolicies, type CedarRule } from './cedar-policies.ts'

export interface CedarSlot {
  readonly name: string
  /** Gives the name back; once is enough. */
  free(): void
}

const free: string[] = []
let slots = 0

/** Parses into a slot of its own. Throws `ConfigError` with what Cedar says, and keeps no slot then. */
export function prepareSlot(schema: Schema, rules: readonly CedarRule[]): CedarSlot {
  const name = takeName()
  const slot = toSlot(name)
  try {
    assertParsed(preparseSchema(name, schema))
    assertParsed(preparsePolicySet(name, { staticPolicies: toStaticPolicies(rules) }))
    return slot
  } catch (cause) {
    slot.free()
    throw cause
  }
}

function takeName(): string {
  slots += free.length === 0 ? 1 : 0
  return free.pop() ?? `unbearer-${slots}`
}

function toSlot(name: string): CedarSlot {
  let open = true
  return {
    name,
    free() {
      if (open) free.push(name)
      open = false
    },
  }
}

function assertParsed(answer: CheckParseAnswer): void {
  if (answer.type === 'success') return
  throw new ConfigError(`cedar: ${answer.errors.map((error) => error.message).join('; ')}`)
}
