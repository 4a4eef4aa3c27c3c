/**
 * @module
 * The input schema of a tool, whatever it was written with (Zod, Standard Schema, `jsonSchema()`), and the same with the
 * intent argument. Structural, so that nothing here needs the `ai` package.
 */
import { ConfigError, isJsonObject, parseJson, type JsonObject } from '../../index.ts'
import { takeIntent } from '../intent.ts'

/** What the AI SDK knows its own schemas by; in the registry of symbols, so that it is the same in every copy of it. */
const SCHEMA: unique symbol = Symbol.for('vercel.ai.schema')

export type Validation =
  | { readonly success: true; readonly value: unknown }
  | { readonly success: false; readonly error: Error }

/** A schema as `asSchema()` of the AI SDK takes it. */
export interface AiSchema {
  readonly [SCHEMA]: true
  readonly _type: unknown
  readonly jsonSchema: JsonObject
  readonly validate: (value: unknown) => Promise<Validation>
}

export interface InputSchema {
  readonly json: JsonObject
  /** Gives back the value as the schema makes it (defaults, transformations). */
  readonly validate: (value: unknown) => Promise<Validation>
}

/** Reads an input schema. Throws `ConfigError` for one of which no JSON Schema is to be had at once. */
export function readSchema(name: string, schema: unknown): InputSchema {
  const found = typeof schema === 'function' ? toUnknown(Reflect.apply(schema, undefined, [])) : schema
  if (!isRecord(found)) throw new ConfigError(`\`${name}\` has no input schema`)
  const { jsonSchema, validate, '~standard': standard } = found
  if (SCHEMA in found) return { json: toPlain(name, jsonSchema), validate: toValidate(found, validate) }
  if (isRecord(standard)) return readStandard(name, standard)
  throw new ConfigError(`the schema of \`${name}\` is of no kind that is known, wrap it in \`jsonSchema()\``)
}

/**
 * The schema that the model is shown. It passes on what it was given: the tool's own schema is applied where the arguments
 * are decided, once, so that what is decided is what is run.
 */
export function toGuardedSchema(shown: JsonObject, { validate }: InputSchema): AiSchema {
  return {
    [SCHEMA]: true,
    _type: undefined,
    jsonSchema: shown,
    async validate(value) {
      const given = parseArguments(value)
      if (given === undefined)
        return { success: false, error: new TypeError('the arguments are not an object of JSON') }
      const result = await validate(takeIntent(given).rest)
      return result.success ? { success: true, value } : result
    },
  }
}

/** A copy of arguments that nobody else holds; undefined when they are not an object of plain JSON. */
export function parseArguments(value: unknown): JsonObject | undefined {
  try {
    if (!isPlain(value)) return undefined
    const parsed = parseJson(JSON.stringify(value))
    return isJsonObject(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

/** True for what JSON gives back as it was: a date would become text, a map an empty object. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPlain)
  if (typeof value !== 'object' || value === null)
    return value === undefined || value === null || ['string', 'boolean', 'number'].includes(typeof value)
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && Object.values(value).every(isPlain)
}

/** Standard Schema with its JSON Schema side, as Zod 4.2 and later have it. */
function readStandard(name: string, standard: Readonly<Record<string, unknown>>): InputSchema {
  const { validate, jsonSchema } = standard
  if (typeof validate !== 'function' || !isRecord(jsonSchema) || typeof jsonSchema['input'] !== 'function')
    throw new ConfigError(
      `the schema of \`${name}\` gives no JSON Schema, wrap it in \`zodSchema()\` or \`jsonSchema()\``,
    )
  const json = toUnknown(Reflect.apply(jsonSchema['input'], jsonSchema, [{ target: 'draft-07' }]))
  return {
    json: toPlain(name, json),
    async validate(value) {
      const result = toUnknown(await Reflect.apply(validate, standard, [value]))
      if (isRecord(result) && 'value' in result && result['issues'] === undefined)
        return { success: true, value: result['value'] }
      return { success: false, error: new TypeError(toIssues(result)) }
    },
  }
}

function toIssues(result: unknown): string {
  const issues = isRecord(result) && Array.isArray(result['issues']) ? result['issues'] : []
  const told = issues.map((issue: unknown) => (isRecord(issue) ? String(issue['message']) : 'not valid'))
  return told.length === 0 ? 'the arguments do not fit the schema' : told.join('; ')
}

function toValidate(owner: object, validate: unknown): InputSchema['validate'] {
  return async (value) => {
    if (typeof validate !== 'function') return { success: true, value }
    const result = toUnknown(await Reflect.apply(validate, owner, [value]))
    if (isRecord(result) && result['success'] === true) return { success: true, value: result['value'] }
    const error = isRecord(result) ? result['error'] : undefined
    return {
      success: false,
      error: error instanceof Error ? error : new TypeError('the arguments do not fit the schema'),
    }
  }
}

function toPlain(name: string, json: unknown): JsonObject {
  if (isRecord(json) && typeof json['then'] === 'function')
    throw new ConfigError(`the JSON Schema of \`${name}\` is a promise, await it first`)
  const parsed = isRecord(json) ? parseJson(JSON.stringify(json)) : undefined
  if (!isJsonObject(parsed)) throw new ConfigError(`the JSON Schema of \`${name}\` is not an object`)
  return parsed
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Takes the `any` off what foreign code gives. */
function toUnknown(value: unknown): unknown {
  return value
}
