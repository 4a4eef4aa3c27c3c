/**
 * @module
 * A labelled case: a recorded decision of which a person said that it was wrong or right, with everything that is needed to
 * decide it again elsewhere (`docs/reference/cases.md`).
 */
import { canonicalBytes } from './canonical.ts'
import type { DecisionKind } from './decision.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from './json.ts'
import type { ToolManifest } from './manifest.ts'
import { fromRecord } from './records.ts'
import type { ObservedSource } from './relabel.ts'
import { toRecorded, type Recorded } from './recorded.ts'

export const CASE_LABELS = ['wrong', 'right'] as const
export type CaseLabel = (typeof CASE_LABELS)[number]

/** What may be expected: `defer` is never a policy's answer. */
export const EXPECTABLE = ['permit', 'modify', 'challenge', 'deny'] as const
export type Expected = (typeof EXPECTABLE)[number]

/** What an operator signs of a case. */
export interface CaseClaim {
  readonly entry: string
  readonly label: CaseLabel
  readonly expected: Expected
  readonly note: string
}

/** What was decided then. */
export interface CaseWas {
  readonly decision: DecisionKind
  readonly reason?: string
  readonly suspended?: readonly string[]
  readonly mode: string
  readonly policy: string
  readonly time: number
}

export interface Case extends CaseClaim {
  readonly v: 1
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Thumbprint of the operator's key, and its signature over `toCaseMessage`, base64url. */
  readonly by: string
  readonly signature: string
  readonly was: CaseWas
  /** Absent where the evidence was gone already: such a case counts and cannot be decided again. */
  readonly recorded?: Recorded
  /** What had been read in the task; absent where that cannot be told. */
  readonly observed?: readonly ObservedSource[]
  /** The labels of those sources in the manifests in force when the case was recorded. */
  readonly outputs: Readonly<Record<string, ToolManifest['output']>>
}

const DOMAIN = new TextEncoder().encode('unbearer-case-v1\0')

/** What an operator signs: `unbearer-case-v1`, a zero byte, RFC 8785 of `{entry, expected, label, note}`. */
export function toCaseMessage({ entry, label, expected, note }: CaseClaim): Uint8Array {
  const said = canonicalBytes({ entry, label, expected, note })
  const message = new Uint8Array(DOMAIN.length + said.length)
  message.set(DOMAIN)
  message.set(said, DOMAIN.length)
  return message
}

/** The case as JSON: what is stored and exported. */
export function toCaseJson({ recorded, observed, ...rest }: Case): JsonObject {
  const { request = null, evidence = null, findings = [], verdicts = [] } = recorded ?? {}
  return {
    ...rest,
    was: asJson(rest.was),
    outputs: asJson(rest.outputs),
    request: request === null ? null : asJson(request),
    evidence: evidence === null ? null : { ...asJson(evidence), reads: {} },
    findings: findings.map(asJson),
    verdicts: verdicts.map(asJson),
    observed: observed === undefined ? null : observed.map(asJson),
  }
}

/**
 * A case from its JSON; undefined for anything else. What it holds is believed: a file decides nothing but its own test, and
 * the signature is not verified here.
 */
export function parseCase(value: Json): Case | undefined {
  if (!isJsonObject(value) || value['v'] !== 1) return undefined
  const { entry, label, expected, note, was, outputs } = value
  const isClaim = typeof entry === 'string' && typeof note === 'string' && isJsonObject(was) && isJsonObject(outputs)
  const isKnown = CASE_LABELS.some((each) => each === label) && EXPECTABLE.some((each) => each === expected)
  const isDecided = isJsonObject(was) && typeof was['decision'] === 'string'
  if (!isClaim || !isKnown || !isDecided) return undefined
  const { request, evidence, findings, verdicts, observed, ...claim } = value
  const recorded = toRecorded({ request, evidence, findings, verdicts })
  const read = fromRecord<Omit<Case, 'recorded' | 'observed'>>({ value: claim })
  const seen = Array.isArray(observed) ? fromRecord<readonly ObservedSource[]>({ value: observed }) : undefined
  if (read === undefined) return undefined
  return { ...read, ...(recorded === undefined ? {} : { recorded }), ...(seen === undefined ? {} : { observed: seen }) }
}
