/**
 * @module
 * What all engines share that are sent JSON: the document is asserted before anything leaves, it can be arranged as the
 * policies of a shop expect it, every fault is a verdict that denies, and a denial that a person could lift is a challenge.
 */
import type { Obligation, PolicyVerdict } from '../core/decision.ts'
import { approvedHypothetically, type EngineDocument } from '../core/engine-document.ts'
import { InputError, UnavailableError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray, parsePointer, valueAt } from '../core/pointer.ts'
import type { Engine } from '../ports/engine.ts'
import { readFacts } from './document-shape.ts'

/** What an engine said to one question. */
export interface JsonAnswer {
  readonly outcome: 'permit' | 'deny' | 'undefined'
  readonly policies: readonly string[]
  readonly obligations: readonly Obligation[]
  readonly decisionId?: string
  /** Of the policies that spoke, where the answer tells; else that of the engine. */
  readonly version?: string
}

export interface JsonEngineOptions {
  readonly kind: string
  readonly version: () => string
  /** How the document is arranged for these policies: see `arrange`. Absent: as it is. */
  readonly input?: JsonObject
  /** In place of all other questions, where the question depends on the document; it never challenges. Throws as `ask`. */
  readonly askAbout?: (document: EngineDocument) => Promise<JsonAnswer>
  /** Throws for every fault: `UnavailableError` where nobody answered, anything else where the answer is none. */
  readonly ask: (input: Json) => Promise<JsonAnswer>
  /**
   * The same question twice in one exchange: as it is, and as it would be with an approval. Absent: one after the other,
   * and the second only after a denial.
   */
  readonly askBoth?: (input: Json, approved: Json) => Promise<readonly [JsonAnswer, JsonAnswer]>
  readonly problems?: () => Promise<readonly string[]>
  readonly close: () => void
}

/**
 * An engine over `ask`. Answers `challenge` for a denial that would be a permit if a person had approved this action
 * (`context.approved`); policies that do not read it never challenge. Nothing is cached: what an engine elsewhere says
 * may change before anything does that we count. Does not bound how long `ask` takes.
 */
export function createJsonEngine(options: JsonEngineOptions): Engine {
  let open = true
  const toVerdict = (answer: Partial<JsonAnswer>, outcome: PolicyVerdict['outcome']): PolicyVerdict => ({
    engine: options.kind,
    version: answer.version ?? options.version(),
    outcome,
    policies: answer.policies ?? [],
    obligations: outcome === 'permit' ? (answer.obligations ?? []) : [],
    ...(answer.decisionId === undefined ? {} : { decisionId: answer.decisionId }),
  })
  return {
    kind: options.kind,
    get version() {
      return options.version()
    },
    async evaluate(document) {
      if (!open) return { ...toVerdict({}, 'unavailable'), fault: 'closed' }
      try {
        const [answer, outcome] = await evaluate(options, document)
        return toVerdict(answer, outcome)
      } catch (cause) {
        return { ...toVerdict({}, cause instanceof UnavailableError ? 'unavailable' : 'error'), fault: toFault(cause) }
      }
    },
    ...(options.problems === undefined ? {} : { problems: options.problems }),
    async close() {
      if (open) options.close()
      open = false
    },
  }
}

async function evaluate(
  { ask, askBoth, askAbout, input }: JsonEngineOptions,
  document: EngineDocument,
): Promise<readonly [JsonAnswer, PolicyVerdict['outcome']]> {
  readFacts(document)
  if (askAbout !== undefined) {
    const answer = await askAbout(document)
    return [answer, answer.outcome]
  }
  const asked = toInput(document, input)
  const approved = toInput(approvedHypothetically(document), input)
  const mayDiffer = document.context['approved'] !== true && isSeen(input)
  if (mayDiffer && askBoth !== undefined) {
    const [answer, lifted] = await askBoth(asked, approved)
    return [answer, toOutcome(answer, lifted)]
  }
  const answer = await ask(asked)
  if (answer.outcome === 'permit' || !mayDiffer) return [answer, answer.outcome]
  return [answer, toOutcome(answer, await ask(approved))]
}

function toOutcome(answer: JsonAnswer, lifted: JsonAnswer): PolicyVerdict['outcome'] {
  return answer.outcome !== 'permit' && lifted.outcome === 'permit' ? 'challenge' : answer.outcome
}

/** Whether `context.approved` reaches the policies at all; a second question would otherwise be the first. */
function isSeen(input: JsonObject | undefined): boolean {
  return input === undefined || /"\/(?:context(?:\/approved)?)?"/.test(JSON.stringify(input))
}

function toInput({ subject, action, resource, context }: EngineDocument, input: JsonObject | undefined): Json {
  const document = { subject: asJson(subject), action: asJson(action), resource: asJson(resource), context }
  return input === undefined ? document : (arrange(input, document) ?? {})
}

/**
 * `template` with each text that starts with `/` replaced by what stands there in `document` (RFC 6901; `/` is the whole
 * document, and what is absent is left out); all else as it is. So the policies of a shop read what they always read.
 */
export function arrange(template: Json, document: JsonObject): Json | undefined {
  if (typeof template === 'string' && template.startsWith('/')) return find(template, document)
  if (isJsonArray(template)) return template.map((item) => arrange(item, document) ?? null)
  if (!isJsonObject(template)) return template
  const members = Object.entries(template).map(
    ([name, member]) => [name, member === undefined ? undefined : arrange(member, document)] as const,
  )
  return Object.fromEntries(members.filter(([, member]) => member !== undefined))
}

function find(pointer: string, document: JsonObject): Json | undefined {
  if (pointer === '/') return document
  const path = parsePointer(pointer.slice(1))
  return path === undefined ? undefined : valueAt(document, path)
}

/**
 * What policies answered as data: a boolean, or an object with a boolean `allow`, and beside it `obligations`
 * (`[{type, properties}]`) and `policies` (ids). Anything else is not an answer: `"true"` and 1 are not true.
 * Throws `InputError`.
 */
export function parseResult(result: Json | undefined): JsonAnswer {
  if (result === undefined) return { outcome: 'undefined', policies: [], obligations: [] }
  if (typeof result === 'boolean') return { outcome: result ? 'permit' : 'deny', policies: [], obligations: [] }
  if (!isJsonObject(result)) throw new InputError('result is neither a boolean nor an object with `allow`')
  const { allow } = result
  if (typeof allow !== 'boolean') throw new InputError('result has no boolean `allow`')
  return {
    outcome: allow ? 'permit' : 'deny',
    policies: readIds(result['policies']),
    obligations: readObligations(result['obligations']),
  }
}

/** Absent is none. Throws `InputError` for what is not a list of obligations: what cannot be read cannot be discharged. */
export function readObligations(value: Json | undefined): readonly Obligation[] {
  if (value === undefined) return []
  if (!isJsonArray(value)) throw new InputError('obligations are not a list')
  return value.map((item) => {
    const { type, properties = {} } = isJsonObject(item) ? item : {}
    if (typeof type !== 'string' || !isJsonObject(properties)) throw new InputError('an obligation has no type')
    return { type, properties }
  })
}

/** A list or, as Rego dumps a set, one too; sorted. What is no id is left out: ids determine nothing. */
function readIds(value: Json | undefined): readonly string[] {
  if (!isJsonArray(value)) return []
  return [...new Set(value.filter((item) => typeof item === 'string'))].toSorted()
}

/** Messages of ours hold no data; those of others might. */
function toFault(cause: unknown): string {
  return cause instanceof InputError || cause instanceof UnavailableError ? cause.message : 'the engine failed'
}
