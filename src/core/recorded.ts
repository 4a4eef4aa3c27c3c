/**
 * @module
 * What was recorded of a decision, opened again from its evidence: the values that a replay needs (invariant 10).
 */
import type { PolicyVerdict } from './decision.ts'
import type { Evidence } from './evidence.ts'
import type { Finding } from './finding.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { parseJson } from './parse-json.ts'
import { fromRecord } from './records.ts'
import type { AccessRequest } from './request.ts'

export interface Recorded {
  readonly request: AccessRequest
  /** Absent: something failed before the evidence was complete, and only the request is known. */
  readonly evidence?: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}

/** A recorded decision with its evidence. */
export type Complete = Recorded & { readonly evidence: Evidence }

/**
 * The values of evidence bytes as they were recorded; undefined for bytes that are not those of a decision. The store is
 * trusted to give back what was written: `audit show` compares values with their commitments, this does not.
 */
export function openRecorded(bytes: Uint8Array): Recorded | undefined {
  return toRecorded(openValues(bytes))
}

/** The `values` of evidence of any kind of entry; empty where there are none. */
export function openValues(bytes: Uint8Array): JsonObject {
  const opened = parseJson(bytes, { numbers: 'any', maxDepth: 512 })
  const values = isJsonObject(opened) ? opened['values'] : undefined
  return isJsonObject(values) ? values : {}
}

/** The same from values that are parsed already, for example those of an exported case. Looks at the outer shape only. */
export function toRecorded(values: JsonObject): Recorded | undefined {
  const { request, evidence, findings, verdicts } = values
  if (!isRequest(request) || !isList(findings) || !isList(verdicts)) return undefined
  const known = isEvidence(evidence) ? fromRecord<Evidence>({ value: evidence }) : undefined
  const asked = fromRecord<AccessRequest>({ value: request })
  if (asked === undefined) return undefined
  return {
    request: asked,
    ...(known === undefined ? {} : { evidence: known }),
    findings: fromRecord<readonly Finding[]>({ value: findings }) ?? [],
    verdicts: fromRecord<readonly PolicyVerdict[]>({ value: verdicts }) ?? [],
  }
}

export function isComplete(recorded: Recorded): recorded is Complete {
  return recorded.evidence !== undefined
}

function isRequest(value: Json | undefined): value is JsonObject {
  return hasObjects(value, ['subject', 'actor', 'action', 'context'])
}

function isEvidence(value: Json | undefined): value is JsonObject {
  return hasObjects(value, ['identity', 'revocation', 'tool', 'effect', 'provenance', 'behaviour'])
}

function hasObjects(value: Json | undefined, names: readonly string[]): value is JsonObject {
  return isJsonObject(value) && names.every((name) => isJsonObject(value[name]))
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value) && value.every((each: Json) => isJsonObject(each))
}
