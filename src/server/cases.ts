/**
 * @module
 * Labelled cases: a person says of a recorded decision that it was wrong or right. What the case holds is evidence of the
 * principal, in the entry of the act, so that erasing them erases it; the record beside it has ids and the label only.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { asJson, isJsonObject, type JsonObject } from '../core/json.ts'
import type { ServerManifest, ToolManifest } from '../core/manifest.ts'
import type { ParsedEntry } from '../core/parse-entry.ts'
import { CASE_PREFIX, caseRecord, fromRecord } from '../core/records.ts'
import { importKey, verifyBytes } from '../crypto/keys.ts'
import { toCaseJson, toCaseMessage, type Case, type CaseClaim, type CaseLabel, type CaseWas } from '../core/case.ts'
import type { ObservedSource } from '../core/relabel.ts'
import { observedBefore } from '../pdp/observed.ts'
import { openRecorded, openValues, type Recorded } from '../core/recorded.ts'
import { newId } from '../pdp/log-entries.ts'
import type { Store } from '../ports/store.ts'
import { listAll, perform, readOne, type ServiceOptions } from './acts.ts'
import { findDecision } from './explain/lookup.ts'

/** What is stored of a case beside its evidence: nothing of whom it is about. */
export interface CaseRecord {
  /** The decision entry. */
  readonly entry: string
  /** The entry of the act, whose evidence holds the case. */
  readonly id: string
  readonly label: CaseLabel
  readonly expected: CaseClaim['expected']
  readonly by: string
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface CasesOptions extends ServiceOptions {
  readonly manifest: (upstream: string) => ServerManifest | undefined
}

export interface Cases {
  /**
   * Stores a case, in place of an earlier one of the same entry; the log keeps both. Throws `InputError` for an entry that is
   * not a decision, `RefusedError` when the claim is not signed by `by`. Changes no decision and grants nothing.
   */
  record(claim: CaseClaim, signature: string, by: EnrolledKey): Promise<CaseRecord>
  list(): Promise<readonly CaseRecord[]>
  /** The whole case. Throws `InputError` when there is none, or when it was erased with its subject. */
  show(entry: string): Promise<JsonObject>
}

export function createCases(options: CasesOptions): Cases {
  const { store } = options
  return {
    record: async (claim, signature, by) => recordCase(options, claim, signature, by),
    list: async () => listAll<CaseRecord>(store, CASE_PREFIX),
    async show(entry) {
      const record = await readOne<CaseRecord>(store, caseRecord(entry))
      if (record === undefined) throw new InputError(`there is no case of entry \`${entry}\``)
      const bytes = await store.evidence(record.id)
      const detail = bytes === undefined ? undefined : openValues(bytes)['detail']
      if (isJsonObject(detail)) return detail
      throw new InputError(`the case of entry \`${entry}\` was erased, or is past its retention`)
    },
  }
}

async function recordCase(
  options: CasesOptions,
  claim: CaseClaim,
  signature: string,
  by: EnrolledKey,
): Promise<CaseRecord> {
  if (!verifyBytes(importKey({ ...by.jwk }), toCaseMessage(claim), Buffer.from(signature, 'base64url')))
    throw new RefusedError('identity.bad-proof', 'the case is not signed by this operator as it stands')
  const { entry } = await findDecision(options.store, claim.entry)
  if (entry.id !== claim.entry) throw new InputError('name the decision entry itself, by its whole id')
  const bytes = await options.store.evidence(entry.id)
  const recorded = bytes === undefined ? undefined : openRecorded(bytes)
  const observed = await toObserved(options.store, recorded)
  const at = options.clock.now()
  const made: Case = {
    v: 1,
    ...claim,
    at,
    by: by.jkt,
    signature,
    was: toWas(entry),
    ...(recorded === undefined ? {} : { recorded }),
    ...(observed === undefined ? {} : { observed }),
    outputs: toOutputs(options, recorded, observed),
  }
  const record: CaseRecord = {
    entry: entry.id,
    id: newId(),
    label: claim.label,
    expected: claim.expected,
    by: by.jkt,
    at,
  }
  return perform(options, async (read) => {
    // Read, so that of two cases at once one is not lost unseen.
    await read<CaseRecord>(caseRecord(entry.id))
    return {
      result: record,
      writes: [{ key: caseRecord(entry.id), value: asJson(record) }],
      id: record.id,
      act: `case.${claim.label}`,
      by: by.jkt,
      subject: recorded === undefined ? 'system' : `${recorded.request.subject.type}/${recorded.request.subject.id}`,
      detail: toCaseJson(made),
    }
  })
}

function toWas({ value, time }: ParsedEntry): CaseWas {
  const { decision, reason, suspended, mode, policy } = value
  const was: JsonObject = {
    decision,
    ...(reason === undefined ? {} : { reason }),
    ...(suspended === undefined ? {} : { suspended }),
    mode,
    policy,
    time,
  }
  return fromRecord<CaseWas>({ value: was }) ?? { decision: 'deny', mode: '', policy: '', time }
}

async function toObserved(
  store: Store,
  recorded: Recorded | undefined,
): Promise<readonly ObservedSource[] | undefined> {
  const { evidence, request } = recorded ?? {}
  if (evidence === undefined || request?.context.txn === undefined) return undefined
  return observedBefore(store, request.context.txn, evidence.provenance.length)
}

/** The labels of every source that the decision could have rested on, as the manifests say now. */
function toOutputs(
  { manifest }: CasesOptions,
  recorded: Recorded | undefined,
  observed: readonly ObservedSource[] = [],
): Record<string, ToolManifest['output']> {
  const leaves = recorded?.evidence?.provenance.arguments ?? []
  const sources = new Set([...observed.map(({ source }) => source), ...leaves.flatMap(({ sources: named }) => named)])
  const found = [...sources].flatMap((source) => {
    const output = toOutput(manifest, source)
    return output === undefined ? [] : [[source, output] as const]
  })
  return Object.fromEntries(found)
}

/** The label of what `upstream/tool` returns. */
export function toOutput(
  manifest: (upstream: string) => ServerManifest | undefined,
  source: string,
): ToolManifest['output'] | undefined {
  const slash = source.indexOf('/')
  const tools = manifest(source.slice(0, slash))?.tools ?? {}
  const tool = source.slice(slash + 1)
  return Object.hasOwn(tools, tool) ? tools[tool]?.output : undefined
}
