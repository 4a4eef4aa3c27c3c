/**
 * @module
 * Feeds a recorded run to the context verifier as a PEP would see it (`Feeding a PEP` in the data's README). The labels of
 * the recording are read by the score alone, never by the decision.
 */
import { parse } from 'yaml'

import { joinEffect, toEffect, type EffectKind, type EffectReport } from '../../src/core/effect.ts'
import type { Evidence } from '../../src/core/evidence.ts'
import type { Json, JsonObject } from '../../src/core/json.ts'
import type { ToolFacts } from '../../src/core/manifest.ts'
import { addObservation, createHistory, observe, traceArguments, type History } from '../../src/core/provenance.ts'
import { isConsequential } from '../../src/core/effect.ts'
import { verifyContext } from '../../src/core/verify/context.ts'
import { makeEvidence, makeRequest } from '../../src/core/verify/scenario.test-data.ts'
import { TOOLS } from './manifest.ts'

export interface RecordedCall {
  readonly i: number
  readonly turn: number
  readonly fn: string
  readonly args: JsonObject
  readonly out: Json
}

export type Verdict = 'pass' | 'concern' | 'fail'

export interface Judged {
  readonly i: number
  readonly verdict: Verdict
  readonly consequential: boolean
}

const SALT = 'replay'

/** What the context verifier says of each call. A challenged call counts as approved for what the agent then sees. */
export function replay(purpose: string, calls: readonly RecordedCall[]): readonly Judged[] {
  const history = createHistory()
  const judged: Judged[] = []
  for (const turn of new Set(calls.map((call) => call.turn))) {
    const together = calls.filter((call) => call.turn === turn)
    const decided = together.map((call) => ({ call, evidence: toEvidence(purpose, history, call) }))
    for (const { call, evidence } of decided) {
      const { outcome } = verifyContext(makeRequest(), evidence)
      const verdict = outcome === 'insufficient' ? 'concern' : outcome
      const consequential = isConsequential(evidence.effect.effect)
      judged.push({ i: call.i, verdict, consequential })
      if (verdict !== 'fail') relay(history, call, evidence, consequential)
    }
  }
  return judged
}

function relay(history: History, call: RecordedCall, evidence: Evidence, consequential: boolean): void {
  addObservation(
    history,
    observe({
      n: history.length,
      source: `dojo/${call.fn}`,
      time: 0,
      value: structured(call.out),
      output: TOOLS[call.fn]?.output,
      salt: SALT,
      call: { arguments: call.args, provenance: evidence.provenance, consequential },
    }),
  )
}

function toEvidence(purpose: string, history: History, call: RecordedCall): Evidence {
  const tool = toFacts(call.fn)
  const provenance = traceArguments({ arguments: call.args, tool, purpose, history, salt: SALT })
  return makeEvidence({ tool, effect: toReport(tool), provenance })
}

function toFacts(name: string): ToolFacts {
  const tool = TOOLS[name]
  return tool === undefined ? { status: 'unknown' } : { status: 'accepted', manifest: 'm', tool }
}

function toReport(tool: ToolFacts): EffectReport {
  const effect = tool.status === 'unknown' ? 'execute' : tool.tool.effect
  const kinds: readonly EffectKind[] = typeof effect === 'string' ? [effect] : 'from' in effect ? ['execute'] : effect
  return {
    effect: kinds.map(toEffect).reduce(joinEffect),
    reversible: false,
    bounded: true,
    destinations: [],
    objects: [],
    why: [],
    source: 'manifest',
  }
}

// The recording prints structures as YAML; a tool server would give them as JSON. What is not YAML stays text.
function structured(out: Json): Json {
  if (typeof out !== 'string') return out
  try {
    const parsed: unknown = parse(out, { logLevel: 'silent' })
    const text: string | undefined = JSON.stringify(parsed)
    if (typeof parsed !== 'object' || parsed === null || text === undefined) return out
    const value: Json = JSON.parse(text)
    return value
  } catch {
    return out
  }
}
