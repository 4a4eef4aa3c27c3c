/**
 * @module
 * Builds log entries: each value goes into the evidence, its salted commitment into the leaf (design §6).
 */
import { randomBytes } from 'node:crypto'

import { commitmentOf } from '../core/bind.ts'
import { canonicalBytes } from '../core/canonical.ts'
import { InvariantError } from '../core/errors.ts'
import type { Commitment, ControlEntry, DecisionEntry, OutcomeEntry } from '../core/entry.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { NewEntry, NewEvidence } from '../ports/store.ts'

/** One entry and the evidence that opens its commitments. */
export interface LogUnit {
  readonly entries: readonly [NewEntry]
  readonly evidence: readonly [NewEvidence]
}

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
  const { salts, commit } = open(values)
  const commitments = {
    request: commit('request'),
    evidence: commit('evidence'),
    findings: commit('findings'),
    verdicts: commit('verdicts'),
  }
  return seal({ v: 1, kind: 'decision', ...entry, commitments }, { salts, values }, subject)
}

/** The outcome of a permitted action as one leaf. */
export function toOutcomeUnit(
  entry: Omit<OutcomeEntry, 'v' | 'kind' | 'commitments'>,
  values: { readonly output?: Json },
  subject: string,
): LogUnit {
  const { salts, commit } = open(values)
  const commitments = values.output === undefined ? {} : { output: commit('output') }
  return seal({ v: 1, kind: 'outcome', ...entry, commitments }, { salts, values: { ...values } }, subject)
}

/** An act of an operator, a host or the system as one leaf. `by` is a thumbprint or `system`. */
export function toControlUnit(input: {
  /** A new one by default. */
  readonly id?: string
  readonly act: string
  readonly by: string
  readonly subject: string
  readonly detail: Json
  readonly now: number
}): LogUnit {
  const { salts, commit } = open({ detail: input.detail })
  const entry: ControlEntry = {
    v: 1,
    kind: 'control',
    id: input.id ?? newId(),
    time: input.now,
    act: input.act,
    by: input.by,
    commitments: { detail: commit('detail') },
  }
  return seal({ ...entry }, { salts, values: { detail: input.detail } }, input.subject)
}

interface Opening {
  readonly salts: JsonObject
  readonly commit: (name: string) => Commitment
}

/** Commits to values, each under a salt of its own; throws for a name that has no value. */
function open(values: { readonly [name: string]: Json | undefined }): Opening {
  const salts: Record<string, string> = {}
  return {
    salts,
    commit(name) {
      const value = values[name]
      if (value === undefined) throw new InvariantError(`there is no \`${name}\` to commit to`)
      const salt = randomBytes(16)
      salts[name] = salt.toString('base64url')
      return commitmentOf(value, salt)
    },
  }
}

function seal(entry: JsonObject & { readonly id: string }, opened: JsonObject, subject: string): LogUnit {
  return {
    entries: [{ id: entry.id, bytes: canonicalBytes(entry) }],
    evidence: [{ id: entry.id, subject, bytes: canonicalBytes(opened) }],
  }
}
