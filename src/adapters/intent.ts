/**
 * @module
 * The intent argument: put into every tool schema, taken off every call (contracts, "The intent argument").
 */
import { isJsonObject, type IntentClaim, type Json, type JsonObject } from '../index.ts'
/** The key of the intent argument (contracts, "The intent argument"). */
export const INTENT_KEY = 'unbearer_intent'

const INTENT_TEXT =
  'Why this call serves what the user asked for: one sentence, optionally led by its effect (read, write, delete, ' +
  'send, spend, execute, admin) and a colon, for example `read: the user asked for the e-mail of customer 42`. ' +
  'It is compared with what the call does. Name things by id; write no personal data, password or key into it.'
const INTENT_SCHEMA: JsonObject = { type: 'string', minLength: 8, description: INTENT_TEXT }

/** True when a schema can carry the argument: an object schema that does not use its name already. */
export function canCarryIntent(schema: Json | undefined): schema is JsonObject {
  if (!isJsonObject(schema)) return false
  const { properties = {}, required = [] } = schema
  if (!isJsonObject(properties) || !Array.isArray(required)) return false
  return !Object.hasOwn(properties, INTENT_KEY) && !required.includes(INTENT_KEY)
}

/**
 * The schema with the argument first and required. A composite root (`anyOf`, `$ref`, …) gets it beside its branches;
 * a branch with `additionalProperties: false` then refuses at the client, not here, because it is taken off first.
 *
 * `effect` is what an operator accepted that the tool does: an agent that has to say so should know it.
 */
export function addIntent(schema: JsonObject, effect?: readonly string[]): JsonObject {
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  return {
    ...schema,
    type: 'object',
    properties: { [INTENT_KEY]: toIntentSchema(effect), ...properties },
    required: [INTENT_KEY, ...required],
  }
}

function toIntentSchema(effect: readonly string[] = []): JsonObject {
  if (effect.length === 0) return INTENT_SCHEMA
  return {
    ...INTENT_SCHEMA,
    description: `${INTENT_TEXT} This tool counts as: ${effect.join(', ')}. Lead with \`${effect.join(', ')}:\`.`,
  }
}

export interface TakenIntent {
  readonly rest: JsonObject
  readonly intent?: IntentClaim
}

/** Takes the intent off. One that is not a string becomes an empty claim, which no verifier accepts. */
export function takeIntent(from: JsonObject): TakenIntent {
  if (!Object.hasOwn(from, INTENT_KEY)) return { rest: from }
  const { [INTENT_KEY]: text, ...rest } = from
  return { rest, intent: { text: typeof text === 'string' ? text : '', source: 'argument' } }
}
