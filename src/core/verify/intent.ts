/**
 * @module
 * Intent: does the action do what the agent said it would? The claim is compared with the *computed* effect. Design §4.
 */
import { isAtMost, isConsequential, toKinds } from '../effect.ts'
import type { Evidence } from '../evidence.ts'
import type { Finding, FindingAgainst } from '../finding.ts'
import { type ParsedIntent, parseIntent, toClaimedEffect } from '../intent-claim.ts'
import type { JsonObject } from '../json.ts'
import { isDestinationNamed, isObjectNamed } from '../naming.ts'
import type { AccessRequest } from '../request.ts'

/**
 * `fail` when the intent is missing, malformed, or claims less than the action does; `concern` when a consequential
 * action touches or reaches what neither the sentence nor the task's purpose names. Of reads it only notes the facts.
 *
 * What cannot be told (`*`) is unnamed, except objects of a tool whose effect an operator wrote down: a manifest knows no
 * objects, so that every such call would need a person.
 * Does not judge whether the stated intent serves the principal (context does), and never counts in favour of anything.
 */
export function verifyIntent(request: AccessRequest, evidence: Evidence): Finding {
  const claim = request.context.intent
  if (claim === undefined) return against('fail', 'intent.missing', {})
  const intent = parseIntent(claim.text)
  if (intent === undefined) return against('fail', 'intent.malformed', { source: claim.source })
  return compare(intent, evidence, { source: claim.source, stated: intent.effects !== undefined })
}

function against(
  outcome: FindingAgainst['outcome'],
  reason: FindingAgainst['reason'],
  facts: JsonObject,
): FindingAgainst {
  return { stage: 'intent', outcome, reason, facts }
}

function compare(intent: ParsedIntent, evidence: Evidence, about: JsonObject): Finding {
  const computed = evidence.effect.effect
  const claimed = toClaimedEffect(intent)
  const unnamed = findUnnamed(intent, evidence)
  const facts = { ...about, claimed: toKinds(claimed), computed: toKinds(computed), unnamed }
  if (!isAtMost(computed, claimed)) return against('fail', 'intent.effect-mismatch', facts)
  if (isConsequential(computed) && unnamed.length > 0) return against('concern', 'intent.object-mismatch', facts)
  return { stage: 'intent', outcome: 'pass', facts }
}

/** The computed objects and destinations that neither the sentence nor the attested purpose names. */
function findUnnamed({ sentence }: ParsedIntent, { effect, task }: Evidence): readonly string[] {
  const text = `${sentence}\n${task?.purpose ?? ''}`
  const objects = effect.objects.filter((object) =>
    object === '*' ? effect.source !== 'manifest' : !isObjectNamed(object, text),
  )
  const destinations = effect.destinations.filter((each) => each === '*' || !isDestinationNamed(each, text))
  return [...new Set([...objects, ...destinations])]
}
