/**
 * @module
 * The engine document as a COAZ question, for a decision point whose policies were written for the COAZ-MCP mappings.
 */
import type { EngineDocument } from '../core/engine-document.ts'
import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { createCoazMapper, type CoazCall } from './coaz.ts'
import type { JsonAnswer } from './json-engine.ts'

export interface CoazEngineOptions {
  /** What stands for `token.aud`. */
  readonly audience: string
  /** Only the methods of the draft. */
  readonly strict: boolean
  /** `x-authzen-mapping` of tools, by `upstream/tool`, as an operator has read and copied it. */
  readonly mappings: Readonly<Record<string, JsonObject>>
}

export type CoazQuestion = Extract<CoazCall, { readonly kind: 'ask' }>

/**
 * A function that turns a document into a question. It throws `InputError` where there is none: a mapping that does not fit
 * the arguments, and a method that the draft does not know. The subject is the principal, `context.agent` the actor. None
 * of our findings reaches policies that were written for COAZ; they count beside their answer.
 */
export async function createCoazQuestion(
  options: CoazEngineOptions,
): Promise<(document: EngineDocument) => CoazQuestion> {
  const map = await createCoazMapper(options)
  const { audience, mappings } = options
  return ({ subject, action, resource, context }) => {
    const { upstream, tool } = resource.properties
    const { act } = subject.properties
    const key = `${asText(upstream)}/${asText(tool)}`
    const mapping = Object.hasOwn(mappings, key) ? mappings[key] : undefined
    const call = map({
      message: { method: action.name, params: { name: asText(tool), arguments: context['arguments'] ?? {} } },
      token: { sub: subject.id, aud: audience, ...(isJsonObject(act) ? { client_id: act['id'] } : {}) },
      ...(mapping === undefined ? {} : { mapping }),
    })
    if (call.kind !== 'ask') throw new InputError('this action has no COAZ mapping')
    return call
  }
}

/** All of several evaluations have to permit; as many answers as questions, or there is no answer. */
export function joinAnswers(
  question: CoazQuestion,
  { evaluations: answers }: JsonObject,
  toAnswer: (answer: JsonObject) => JsonAnswer,
): JsonAnswer {
  const { evaluations: asked } = question.request
  if (!isJsonArray(asked) || !isJsonArray(answers) || answers.length !== asked.length)
    throw new InputError('answer has another number of evaluations')
  const read = answers.map((answer) => {
    if (!isJsonObject(answer)) throw new InputError('answer is not an object')
    return toAnswer(answer)
  })
  const denied = read.find(({ outcome }) => outcome !== 'permit')
  return denied ?? { outcome: 'permit', policies: [], obligations: read.flatMap(({ obligations }) => [...obligations]) }
}

function asText(value: Json | undefined): string {
  if (typeof value !== 'string') throw new InputError('document names no tool')
  return value
}
