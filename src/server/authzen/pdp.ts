/**
 * @module
 * The AuthZEN PDP: evaluations with the three semantics, and the three searches, over Cedar policies and known entities.
 * It answers what policy says about a subject, an action and a resource; it runs none of the five verifications, since a
 * PEP that speaks only AuthZEN sends nothing that they could verify, and what it answers mints no credential.
 */
import { InputError, UnbearerError, type JsonObject, type Reason } from '../../index.ts'
import type { EntityPolicies, PolicyAnswer, PolicyEntity, PolicyQuestion } from '../../ports/entity-policies.ts'
import type { Entities } from './entities.ts'
import { toPage } from './paging.ts'
import {
  parseBatch,
  parseEvaluation,
  parseSearch,
  type AuthzenAction,
  type AuthzenEntity,
  type Evaluation,
  type Search,
  type Semantic,
  type Sought,
  type Unparsed,
} from './requests.ts'

/** One evaluation as it was decided, for the log. */
export interface Judged {
  readonly evaluation: Evaluation
  readonly question: PolicyQuestion
  readonly answer: PolicyAnswer
  readonly policy: string
}

export interface AuthzenPdpOptions {
  readonly policies: EntityPolicies
  readonly entities: Entities
  /** Fixtures only: what a PEP sends in `properties` counts as an attribute, and its context as context. */
  readonly trustClaims: boolean
  /** Signs page tokens; 32 random bytes. */
  readonly pageKey: Uint8Array
  /** Records decisions; nothing is answered before it has settled. Gives the ids of their entries, in order. */
  readonly record: (judged: readonly Judged[]) => Promise<readonly string[]>
}

/** A body that was parsed strictly, answered with the body of the response. Throws `InputError` for a 400. */
export interface AuthzenPdp {
  evaluation(body: JsonObject): Promise<JsonObject>
  evaluations(body: JsonObject): Promise<JsonObject>
  search(sought: Sought, body: JsonObject): JsonObject
}

export function createAuthzenPdp(options: AuthzenPdpOptions): AuthzenPdp {
  return {
    evaluation: async (body) => evaluateOne(options, body),
    async evaluations(body) {
      const batch = parseBatch(body)
      if (batch === undefined) return evaluateOne(options, body)
      return { evaluations: await evaluateAll(options, batch.items, batch.semantic) }
    },
    search: (sought, body) => search(options, parseSearch(sought, body)),
  }
}

async function evaluateOne(options: AuthzenPdpOptions, body: JsonObject): Promise<JsonObject> {
  const judged = judge(options, parseEvaluation(body))
  const [id = ''] = await options.record([judged])
  return toDecision(judged.answer, id)
}

/** An item that cannot be parsed is denied by itself (§7.2.1); it cannot be a permit, whatever the semantic. */
async function evaluateAll(
  options: AuthzenPdpOptions,
  items: readonly Unparsed[],
  semantic: Semantic,
): Promise<readonly JsonObject[]> {
  const results: (Judged | UnbearerError)[] = []
  for (const item of items) {
    const result = tryJudge(options, item)
    results.push(result)
    const isPermit = !(result instanceof UnbearerError) && result.answer.outcome === 'permit'
    if (semantic === (isPermit ? 'permit_on_first_permit' : 'deny_on_first_deny')) break
  }
  const judged = results.filter((result): result is Judged => !(result instanceof UnbearerError))
  const ids = await options.record(judged)
  return results.map((result) =>
    result instanceof UnbearerError
      ? { decision: false, context: { error: { status: 400, message: result.message } } }
      : toDecision(result.answer, ids[judged.indexOf(result)] ?? ''),
  )
}

function tryJudge(options: AuthzenPdpOptions, item: Unparsed): Judged | UnbearerError {
  try {
    return judge(options, parseEvaluation(item))
  } catch (fault) {
    if (fault instanceof InputError) return fault
    throw fault
  }
}

function judge(options: AuthzenPdpOptions, evaluation: Evaluation): Judged {
  const question = toQuestion(options, evaluation)
  return { evaluation, question, answer: options.policies.evaluate(question), policy: options.policies.version }
}

/** Known facts are attributes. Claims stand under `context.claimed`, and count as facts only for fixtures. */
function toQuestion({ entities, trustClaims }: AuthzenPdpOptions, evaluation: Evaluation): PolicyQuestion {
  const { subject, action, resource, context } = evaluation
  const toEntity = ({ type, id, properties }: AuthzenEntity): PolicyEntity => {
    const known = entities.find(type, id)?.properties ?? {}
    // Who it is, nobody claims.
    const { id: _id, type: _type, ...claims } = properties
    return { type, id, attributes: trustClaims ? { ...known, ...claims } : known }
  }
  const claimed = {
    subject: subject.properties,
    action: action.properties,
    resource: resource.properties,
    context,
  }
  return {
    subject: toEntity(subject),
    action: action.name,
    resource: toEntity(resource),
    context: {
      ...(trustClaims ? context : withoutFacts(context)),
      claimed,
      action: { ...(trustClaims ? action.properties : {}), name: action.name },
    },
  }
}

/** What a gateway verifies, in the words of its policies (`core/engine-document.ts`): no PEP says it here. */
const FACTS = [
  'actor',
  'anomaly',
  'approved',
  'arguments',
  'deployment',
  'findings',
  'grant',
  'intent',
  'mode',
  'proof',
  'provenance',
  'reasons',
  'task',
]

/** The environment of a request is the word of the PEP, and is nobody else's (§5.4). */
function withoutFacts(context: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(context).filter(([name]) => !FACTS.includes(name)))
}

/** A PEP may refuse a permit whose context it does not understand, so that a plain permit has none (§6.2). */
function toDecision({ outcome, obligations }: PolicyAnswer, id: string): JsonObject {
  if (outcome !== 'permit') return { decision: false, context: { evaluation_id: id, reason: REASON[outcome] } }
  if (obligations.length === 0) return { decision: true }
  return { decision: true, context: { obligations: obligations.map((each) => ({ ...each })) } }
}

const REASON: Readonly<Record<Exclude<PolicyAnswer['outcome'], 'permit'>, Reason>> = {
  deny: 'policy.denied',
  undefined: 'policy.undefined',
  error: 'policy.error',
}

/** The outward reason of an answer; undefined for a permit. */
export function toReason({ outcome }: PolicyAnswer): Reason | undefined {
  return outcome === 'permit' ? undefined : REASON[outcome]
}

/** Whatever is not known is not found, also where a policy would permit it to everybody (§8: 200 with no results). */
function search(options: AuthzenPdpOptions, asked: Search): JsonObject {
  const { subject, resource } = asked
  const isKnown = [subject, resource].every((given) => given === undefined || isFound(options, given))
  const found = isKnown ? toCandidates(options, asked).filter(({ evaluation }) => isPermitted(options, evaluation)) : []
  return toPage(
    options.pageKey,
    asked,
    found.map(({ result }) => result),
  )
}

function isFound({ entities }: AuthzenPdpOptions, { type, id }: AuthzenEntity): boolean {
  return entities.find(type, id) !== undefined
}

interface Candidate {
  readonly result: JsonObject
  readonly evaluation: Evaluation
}

function toCandidates({ entities, policies }: AuthzenPdpOptions, asked: Search): readonly Candidate[] {
  const { context, properties } = asked
  const subject: AuthzenEntity = asked.subject ?? { type: '', id: '', properties: {} }
  const resource: AuthzenEntity = asked.resource ?? { type: '', id: '', properties: {} }
  const action: AuthzenAction = asked.action ?? { name: '', properties: {} }
  if (asked.sought === 'action') {
    return policies.actions.map((name) => ({
      result: { name },
      evaluation: { subject, action: { name, properties: {} }, resource, context },
    }))
  }
  return entities.ofType(asked.type ?? '').map(({ type, id }) => {
    const entity = { type, id, properties }
    const sought = asked.sought === 'subject' ? { subject: entity, resource } : { subject, resource: entity }
    return { result: { type, id }, evaluation: { ...sought, action, context } }
  })
}

/** An obligation is part of a permit, and a search has nowhere to say so: what is found has still to be evaluated. */
function isPermitted(options: AuthzenPdpOptions, evaluation: Evaluation): boolean {
  return judge(options, evaluation).answer.outcome === 'permit'
}
