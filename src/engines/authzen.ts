/**
 * @module
 * The AuthZEN engine: any policy decision point that speaks the Authorization API 1.0. The document has the shape of its
 * requests already (§5); obligations come back in the context of the answer.
 */
import { createHash } from 'node:crypto'
import type { EngineDocument } from '../core/engine-document.ts'
import { ConfigError, InputError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import type { Engine } from '../ports/engine.ts'
import { createCoazQuestion, joinAnswers, type CoazEngineOptions, type CoazQuestion } from './coaz-question.ts'
import { createEngineHttp, isAway, type EngineConnection, type EngineHttp, type EngineResponse } from './http-client.ts'
import { createJsonEngine, readObligations, type JsonAnswer } from './json-engine.ts'
import { assertAnswers } from './start.ts'

export interface AuthzenEngineOptions extends EngineConnection {
  /** How the document is arranged as `{subject, action, resource, context}`; absent: as it is. */
  readonly input?: JsonObject
  /**
   * Ask in one exchange (§7) what is permitted and what would be with an approval, for a decision point that is far away.
   * Default: the second question follows a denial.
   */
  readonly evaluations?: boolean
  /** Ask in the words of the COAZ-MCP mappings; then neither `input` nor `evaluations` counts. */
  readonly coaz?: CoazEngineOptions
}

interface Endpoints {
  readonly evaluation: string
  readonly evaluations: string
}

const DEFAULTS: Endpoints = { evaluation: '/access/v1/evaluation', evaluations: '/access/v1/evaluations' }
const WELL_KNOWN = '/.well-known/authzen-configuration'
/** A question whose answer does not matter. */
const PROBE: JsonObject = {
  subject: { type: 'warm-up', id: 'warm-up' },
  action: { name: 'warm-up' },
  resource: { type: 'warm-up', id: 'warm-up' },
}

/**
 * Reads the metadata of the decision point (§9; where there is none, the default paths) and asks once. Throws
 * `UnavailableError` when it is away, `ConfigError` when it refuses us or its metadata speak of another one. A verdict has
 * no policy ids and no version of policies: the API has neither. Obligations that nobody here knows deny (`core`).
 * Does not follow an access request (ARAP): a denial that somebody elsewhere could lift is a denial.
 */
export async function createAuthzenEngine(options: AuthzenEngineOptions): Promise<Engine> {
  const { input, coaz, evaluations = false } = options
  const toQuestion = coaz === undefined ? undefined : await createCoazQuestion(coaz)
  const http = createEngineHttp(options)
  const endpoints = await discover(http, evaluations || coaz !== undefined).catch((cause: unknown) => {
    http.close()
    if (!(cause instanceof UnavailableError)) throw cause
    throw new UnavailableError(`the engine at \`${http.base}\`: authzen: ${cause.message}`, { cause })
  })
  const version = toVersion(`${http.base}${endpoints.evaluation}`)
  const engine = createJsonEngine({
    kind: 'authzen',
    version: () => version,
    ...(input === undefined ? {} : { input }),
    ask: async (asked) => toAnswer(readBody(await http.post(endpoints.evaluation, asked))),
    ...(evaluations
      ? {
          askBoth: async (asked: Json, approved: Json) =>
            toAnswers(readBody(await http.post(endpoints.evaluations, { evaluations: [asked, approved] }))),
        }
      : {}),
    ...(toQuestion === undefined
      ? {}
      : { askAbout: async (document: EngineDocument) => askCoaz(http, endpoints, toQuestion(document)) }),
    problems: async () => findProblems(http, endpoints),
    close: () => http.close(),
  })
  await assertAnswers(engine, http.base, async () => http.probe(endpoints.evaluation, PROBE))
  return engine
}

async function askCoaz(http: EngineHttp, endpoints: Endpoints, question: CoazQuestion): Promise<JsonAnswer> {
  const body = readBody(await http.post(endpoints[question.api], question.request))
  return question.api === 'evaluation' ? toAnswer(body) : joinAnswers(question, body, toAnswer)
}

/** The well-known segment stands between host and path (§9.2). */
async function discover(http: EngineHttp, evaluations: boolean): Promise<Endpoints> {
  const { status, body } = await http.getAtRoot(WELL_KNOWN)
  if (status === 404 || status === 405 || status === 501) return DEFAULTS
  if (status === 401 || status === 403)
    throw new ConfigError(`authzen refuses us with status ${status}, set \`secrets\``)
  if (status !== 200 || !isJsonObject(body)) throw new UnavailableError(`its metadata: status ${status}`)
  if (body['policy_decision_point'] !== http.base)
    throw new ConfigError(`the metadata of authzen are not those of \`${http.base}\`, use the url that they name`)
  const evaluation = readEndpoint(http, body['access_evaluation_endpoint'])
  const both = body['access_evaluations_endpoint']
  if (evaluations && both === undefined)
    throw new ConfigError('authzen has no endpoint for evaluations, leave `evaluations` out')
  return { evaluation, evaluations: both === undefined ? DEFAULTS.evaluations : readEndpoint(http, both) }
}

/** Below the address that was configured: our credentials go nowhere else. */
function readEndpoint({ base }: EngineHttp, value: Json | undefined): string {
  if (typeof value === 'string' && value.startsWith(`${base}/`) && URL.canParse(value)) return value.slice(base.length)
  throw new ConfigError(`the metadata of authzen name an endpoint that is not below \`${base}\``)
}

function readBody({ status, body }: EngineResponse): JsonObject {
  if (isAway(status)) throw new UnavailableError(`status ${status}`)
  if (status !== 200) throw new InputError(`status ${status}`)
  if (!isJsonObject(body)) throw new InputError('answer is not an object')
  return body
}

function toAnswer({ decision, context = {} }: JsonObject): JsonAnswer {
  if (typeof decision !== 'boolean') throw new InputError('decision is not a boolean')
  if (!isJsonObject(context)) throw new InputError('context is not an object')
  const { evaluation_id: id, obligations, error } = context
  // How an item of several says that it could not be decided (§7.2.1): a fault, which no approval of a person lifts.
  if (error !== undefined) throw new InputError('evaluation failed there')
  return {
    outcome: decision ? 'permit' : 'deny',
    policies: [],
    obligations: readObligations(obligations),
    ...(typeof id === 'string' ? { decisionId: id } : {}),
  }
}

/** Exactly two, in order: with fewer, the answer to one question could pass for that to the other. */
function toAnswers({ evaluations }: JsonObject): readonly [JsonAnswer, JsonAnswer] {
  const [first, second] = isJsonArray(evaluations) && evaluations.length === 2 ? evaluations : []
  if (!isJsonObject(first) || !isJsonObject(second)) throw new InputError('answer has not two evaluations')
  return [toAnswer(first), toAnswer(second)]
}

async function findProblems(http: EngineHttp, { evaluation }: Endpoints): Promise<readonly string[]> {
  try {
    const { status } = await http.probe(evaluation, PROBE)
    return isAway(status) ? [`authzen is not healthy: status ${status}`] : []
  } catch (cause) {
    return [`authzen: ${cause instanceof Error ? cause.message : 'no answer'}`]
  }
}

function toVersion(address: string): string {
  return `unversioned:sha-256:${createHash('sha256').update(address).digest('base64url')}`
}
