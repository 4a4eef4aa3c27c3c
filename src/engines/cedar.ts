/**
 * @module
 * The Cedar engine: in process, in WebAssembly, the default. Policies are parsed and validated once; each request is
 * checked against the schema. Cedar skips a policy that errors, even a `forbid`: here any diagnostic error denies.
 */
import { statefulIsAuthorized, type StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'
import type { Obligation, PolicyVerdict } from '../core/decision.ts'
import { approvedHypothetically, type EngineDocument } from '../core/engine-document.ts'
import { ConfigError, InputError } from '../core/errors.ts'
import type { Engine } from '../ports/engine.ts'
import { toCedarCall } from './cedar-encoding.ts'
import { parseCedarPolicies, parseCedarSchema, toPolicyVersion, type CedarRule } from './cedar-policies.ts'
import { projectCall, projectSchema, toUsage, type Usage } from './cedar-projection.ts'
import { prepareSlot, type CedarSlot } from './cedar-slots.ts'
import { loadDefaultSchema, type PolicyFile } from './policy-files.ts'

export interface CedarEngineOptions {
  readonly policies: readonly PolicyFile[]
  /** Cedar schema text; absent: `policies/schema.cedarschema` of this package. */
  readonly schema?: string
}

/**
 * Parses, validates and warms up. Throws `ConfigError` that names the policy for everything that Cedar objects to,
 * warnings too, and for no policy at all. The engine answers `permit`; `deny` when a forbid determined it; `challenge`
 * when every determining forbid has `@challenge` and the same request would be permitted with an approval; `undefined`
 * when no policy spoke; `error` for any fault; `unavailable` once closed. Does not judge whether the policies are wise.
 */
export async function createCedarEngine(options: CedarEngineOptions): Promise<Engine> {
  const schema = options.schema ?? (await loadDefaultSchema())
  const rules = parseCedarPolicies(options.policies, schema)
  const shown = projectSchema(parseCedarSchema(schema), toUsage(rules.map((rule) => rule.json)))
  const slot = prepareSlot(shown.schema, rules)
  const engine = toEngine(slot, rules, toPolicyVersion(schema, rules), shown.usage)
  // The first call compiles, and nobody's first decision should wait for that. It also shows a schema of one's own that
  // does not fit what the encoder sends, which would deny everything.
  const { outcome } = await engine.evaluate(WARM_UP)
  if (outcome !== 'error') return engine
  await engine.close()
  throw new ConfigError('cedar cannot evaluate a request: the schema does not fit, or a policy fails on any request')
}

function toEngine(slot: CedarSlot, rules: readonly CedarRule[], version: string, usage: Usage): Engine {
  const byId = new Map(rules.map((rule) => [rule.id, rule]))
  const empty = { engine: 'cedar', version, policies: [], obligations: [] }
  let open = true
  const evaluate = (document: EngineDocument): PolicyVerdict => {
    if (!open) return { ...empty, outcome: 'unavailable', fault: 'closed' }
    try {
      return { ...empty, ...toAnswer(byId, (asked) => ask(slot.name, asked, usage), document) }
    } catch (cause) {
      return { ...empty, outcome: 'error', fault: toFault(cause) }
    }
  }
  return {
    kind: 'cedar',
    version,
    texts: rules.map(({ id, effect, text, challenge }) => ({ id, effect, text, challenge })),
    evaluate: (document) => Promise.resolve(evaluate(document)),
    close: () => {
      slot.free()
      open = false
      return Promise.resolve()
    },
  }
}

/** Messages of ours hold no data; those of others might. */
function toFault(cause: unknown): string {
  return cause instanceof InputError ? cause.message : 'the engine failed'
}

type Answer = Pick<PolicyVerdict, 'outcome' | 'policies' | 'obligations'>
interface Determined {
  readonly permitted: boolean
  readonly policies: readonly string[]
}

/** Throws for every fault. */
function toAnswer(
  rules: ReadonlyMap<string, CedarRule>,
  query: (document: EngineDocument) => Determined,
  document: EngineDocument,
): Answer {
  const { permitted, policies } = query(document)
  const determining = policies.map((id) => toRule(rules, id))
  if (permitted) return { outcome: 'permit', policies, obligations: toObligations(determining) }
  if (determining.length === 0) return { outcome: 'undefined', policies, obligations: [] }
  const lifted = determining.every((rule) => rule.challenge) && query(approvedHypothetically(document)).permitted
  return { outcome: lifted ? 'challenge' : 'deny', policies, obligations: [] }
}

function ask(slot: string, document: EngineDocument, usage: Usage): Determined {
  const { principal, action, resource, context, entities } = projectCall(toCedarCall(document, usage.tags), usage)
  const call: StatefulAuthorizationCall = {
    principal,
    action,
    resource,
    context,
    entities: [...entities],
    preparsedSchemaName: slot,
    preparsedPolicySetId: slot,
    validateRequest: true,
  }
  const answer = statefulIsAuthorized(call)
  if (answer.type !== 'success') throw new InputError('cedar refused the request')
  const { decision, diagnostics } = answer.response
  if (diagnostics.errors.length > 0 || answer.warnings.length > 0) throw new InputError('a policy failed')
  return { permitted: decision === 'allow', policies: diagnostics.reason.toSorted() }
}

function toRule(rules: ReadonlyMap<string, CedarRule>, id: string): CedarRule {
  const rule = rules.get(id)
  if (rule === undefined) throw new Error('cedar named a policy that was not loaded')
  return rule
}

/** Of all determining permits: whoever adds a permit cannot drop what another demands. Sorted, without repetition. */
function toObligations(rules: readonly CedarRule[]): readonly Obligation[] {
  const byText = new Map(rules.flatMap((rule) => rule.obligations.map((each) => [JSON.stringify(each), each] as const)))
  return [...byText].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each)
}

const WARM_UP: EngineDocument = {
  subject: { type: 'warm-up', id: '', properties: { assurance: 'none', act: { type: 'agent', id: '' } } },
  action: {
    name: 'warm-up',
    properties: {
      effect: 'read',
      effects: ['read'],
      reversible: true,
      bounded: true,
      destinations: [],
      objects: [],
      source: 'undetermined',
    },
  },
  resource: { type: 'warm-up', id: '', properties: { upstream: '', tool: '', status: 'unknown' } },
  context: {
    arguments: {},
    intent: { stated: false },
    provenance: {
      attested: false,
      taint: { trust: 'attacker-writable', confidentiality: 'confidential' },
      length: 0,
      roles: [],
      unvouched: [],
    },
    anomaly: { outcome: 'missing', events: 0, signals: {} },
    grant: { covered: false },
    task: { open: false, attested: false },
    proof: { grade: 'none', bodyBound: false },
    mode: 'enforce',
    time: 0,
    deployment: 'separate',
    approved: false,
    findings: { identity: 'missing', intent: 'missing', scope: 'missing', context: 'missing', anomaly: 'missing' },
    reasons: [],
    claimed: {},
  },
}
