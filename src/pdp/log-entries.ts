/**
 * @module
 * Builds log entries: each value goes into the evidence, its salted commitment into the leaf (design §6).
 */
import { randomBytes } from 'node:crypto'

import { commitmentOf } from '../core/bind.ts'
import { canonicalBytes } from '../core/canonical.ts'
import type { Commitment, ControlEntry, DecisionEntry, OutcomeEntry } from '../core/entry.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { NewEntry, NewEvidence } from '../ports/store.ts'

/** One entry and the evidence that opens its commitments. */
export interface LogUnit {
  readonly entries: readonly [NewEntry]
  readonly evidence: readonly [NewEvidence]
}

type Committed<Name extends string> = Readonly<Record<Name, Commitment>>

/** 128 random bits, base64url: the form of every id that we mint. */
export function newId(): string {
  return randomBytes(16).toString('base64url')
}

/** A decision as one leaf. `values` are the facts that a replay needs. */
export function toDecisionUnit(
  entry: Omit<DecisionEntry, 'v' | 'kind' | 'commitments'>,
  values: { readonly request: Json; readonly evidence: Json; readonly findings: Json; readonly verdicts: Json },
  subject: string,
): LogUnit {
  const { salts, commitments } = commit(values)
  return seal({ v: 1, kind: 'decision', ...entry, commitments }, { salts, values }, subject)
}

/** The outcome of a permitted action as one leaf. */
export function toOutcomeUnit(
  entry: Omit<OutcomeEntry, 'v' | 'kind' | 'commitments'>,
  values: { readonly output?: Json },
  subject: string,
): LogUnit {
  const { salts, commitments } = commit(values.output === undefined ? {} : { output: values.output })
  return seal({ v: 1, kind: 'outcome', ...entry, commitments }, { salts, values: { ...values } }, subject)
}

/** An act of an operator, a host or the system as one leaf. `by` is a thumbprint or `system`. */
export function toControlUnit(input: {
  readonly act: string
  readonly by: string
  readonly subject: string
  readonly detail: Json
  readonly now: number
}): LogUnit {
  const { salts, commitments } = commit({ detail: input.detail })
  const entry: ControlEntry = {
    v: 1,
    kind: 'control',
    id: newId(),
    time: input.now,
    act: input.act,
    by: input.by,
    commitments,
  }
  return seal({ ...entry }, { salts, values: { detail: input.detail } }, input.subject)
}

function commit<Name extends string>(
  values: Readonly<Record<Name, Json>>,
): { salts: Record<string, string>; commitments: Committed<Name> }
function commit(values: Readonly<Record<string, Json>>): {
  salts: Record<string, string>
  commitments: Record<string, string>
} {
  const salts: Record<string, string> = {}
  const commitments: Record<string, string> = {}
  for (const [name, value] of Object.entries(values)) {
    const salt = randomBytes(16)
    salts[name] = salt.toString('base64url')
    commitments[name] = commitmentOf(value, salt)
  }
  return { salts, commitments }
}

function seal(entry: JsonObject & { readonly id: string }, opened: JsonObject, subject: string): LogUnit {
  return {
    entries: [{ id: entry.id, bytes: canonicalBytes(entry) }],
    evidence: [{ id: entry.id, subject, bytes: canonicalBytes(opened) }],
  }
}
