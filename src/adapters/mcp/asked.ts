/**
 * @module
 * A call that a server answers with a question (`input_required`, MCP 2026-07-28, "Multi Round-Trip Requests"), and the call that
 * brings the answers: what is asked is judged, what is answered is decided as an argument of the call.
 */
import { hashOf, InvariantError, isJsonObject, type ActionBody, type Json, type JsonObject } from '../../index.ts'
import { isAnswer, judgeAsk } from './asks.ts'
import { hasCapability } from './envelope.ts'
import type { RequestStates } from './request-state.ts'

/** The argument under which answers are decided; a manifest can give it a role. No tool can have one of this name. */
export const ANSWERS = 'unbearer_answers'
/** So many questions one answer may hold. */
const MOST = 16

/** What a question and its answers are about: this call, of this key, in this task. */
export function toAbout(binding: string, body: ActionBody): string {
  return JSON.stringify([binding, hashOf(body)])
}

export interface Retried {
  readonly state?: string
  /** As the client brought it, to be spent. */
  readonly sealed: string
  readonly answers: JsonObject
}

/** What the client brings back; `malformed` where nobody asked for it, for another call, or a second time. */
export function takeRetry(params: JsonObject, states: RequestStates, about: string): Retried | 'malformed' | undefined {
  const { requestState: sealed, inputResponses: answers = {} } = params
  if (sealed === undefined) return params['inputResponses'] === undefined ? undefined : 'malformed'
  if (typeof sealed !== 'string' || !isJsonObject(answers)) return 'malformed'
  const asked = states.open(about, sealed)
  if (asked === undefined) return 'malformed'
  const isFit = Object.entries(answers).every(([key, value]) => isAnswer(value, toFields(asked.asked, key)))
  if (!isFit || !Object.keys(answers).every((key) => Object.hasOwn(asked.asked, key))) return 'malformed'
  return { answers, sealed, ...(asked.state === undefined ? {} : { state: asked.state }) }
}

function toFields(asked: JsonObject, key: string): readonly string[] {
  const fields = Object.hasOwn(asked, key) ? asked[key] : undefined
  return Array.isArray(fields) ? fields.filter((each) => typeof each === 'string') : []
}

/** The params that bring a server what it asked for; `given` are the arguments as decided. */
export function toRetryParams(given: JsonObject, state: string | undefined): [rest: JsonObject, retry: JsonObject] {
  const { [ANSWERS]: answers, ...rest } = given
  if (answers !== undefined && !isJsonObject(answers))
    throw new InvariantError('answers that are no object were decided')
  const inputResponses = answers === undefined ? {} : { inputResponses: answers }
  return [rest, { ...inputResponses, ...(state === undefined ? {} : { requestState: state }) }]
}

export type Questions =
  | { readonly ok: true; readonly result: JsonObject }
  | { readonly ok: false; readonly why: string }

/** True for a result that is a question. */
export function isQuestion(output: Json): output is JsonObject {
  return isJsonObject(output) && output['resultType'] === 'input_required'
}

const no = (why: string): Questions => ({ ok: false, why })

/** The result as the client sees it: every question judged, the server's state sealed, nothing else of the server's. */
export function toQuestions(output: JsonObject, params: JsonObject, states: RequestStates, about: string): Questions {
  const { inputRequests = {}, requestState: state } = output
  if (!isJsonObject(inputRequests) || Object.keys(inputRequests).length > MOST)
    return no('the tool server asked in a way that cannot be read')
  if (Object.keys(inputRequests).length > 0 && !hasCapability(params, 'elicitation'))
    return no('the tool server asks for something, and this client cannot ask anybody')
  const shown: Record<string, Json> = {}
  const asked: Record<string, Json> = {}
  for (const [key, request] of Object.entries(inputRequests)) {
    const { method, params: own } = isJsonObject(request) ? request : {}
    const judged = judgeAsk(method, own)
    if (!judged.ok || key.length > 128)
      return no(judged.ok ? 'the tool server asked in a way that cannot be read' : judged.why)
    shown[key] = { method: 'elicitation/create', params: judged.params }
    asked[key] = [...judged.fields]
  }
  const sealed = states.seal(about, { asked, ...(typeof state === 'string' ? { state } : {}) })
  const some = Object.keys(shown).length > 0 ? { inputRequests: shown } : {}
  return { ok: true, result: { resultType: 'input_required', ...some, requestState: sealed } }
}
