/**
 * @module
 * The anomaly verifier: is this unusual for this agent?
 *
 * | the profile …                                         | the action    | finding                            |
 * | ----------------------------------------------------- | ------------- | ---------------------------------- |
 * | is young, or has nothing to compare with              | any           | insufficient, anomaly.insufficient |
 * | gives a combined p below the threshold                | consequential | concern, anomaly.unusual           |
 * | gives a combined p below a hundredth of the threshold | plain read    | concern, anomaly.unusual           |
 * | anything else                                         | any           | pass                               |
 *
 * Reads are many and reversible, so that a person is asked about one only where it is extremely unusual.
 */
import { combineSignals, MIN_EVENTS } from '../baseline.ts'
import { isConsequential } from '../effect.ts'
import type { BehaviourFacts, Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { JsonObject } from '../json.ts'
import type { AccessRequest } from '../request.ts'

/** How much less likely than the threshold a plain read has to be. */
const READ_FACTOR = 0.01

/**
 * Judges the behaviour facts of the evidence. A p or threshold that is no number counts as unusual.
 * Does not judge whether the action is right: what is usual can be harmful, and what is unusual wanted.
 */
export function verifyAnomaly(_request: AccessRequest, evidence: Evidence): Finding {
  const { behaviour, effect } = evidence
  const p = combineSignals(behaviour.signals)
  const facts = toFacts(behaviour, p)
  if (!(behaviour.events >= MIN_EVENTS) || behaviour.signals.length === 0) {
    return { stage: 'anomaly', outcome: 'insufficient', reason: 'anomaly.insufficient', facts }
  }
  const threshold = isConsequential(effect.effect) ? behaviour.threshold : behaviour.threshold * READ_FACTOR
  if (p >= threshold) return { stage: 'anomaly', outcome: 'pass', facts }
  return { stage: 'anomaly', outcome: 'concern', reason: 'anomaly.unusual', facts }
}

function toFacts({ events, signals, threshold }: BehaviourFacts, p: number): JsonObject {
  return { events, p, threshold, signals: signals.map(({ name, p: each, why }) => ({ name, p: each, why })) }
}
