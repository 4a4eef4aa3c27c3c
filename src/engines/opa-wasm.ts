/**
 * @module
 * OPA policies compiled to WebAssembly (`opa build -t wasm`), evaluated in this process: no server, no network, no wait.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ConfigError, InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { parseJson } from '../core/parse-json.ts'
import type { Engine } from '../ports/engine.ts'
import { createJsonEngine, parseResult, type JsonAnswer } from './json-engine.ts'
import { readBundle, type Bundle } from './opa-bundle.ts'

export interface OpaWasmEngineOptions {
  /** A bundle (`.tar.gz`) as `opa build` writes it, or the `policy.wasm` in it. */
  readonly bundle: string
  /** The rule, as it was named to `opa build -e`: `agents/allow`. */
  readonly entrypoint: string
  /** A file of JSON that stands under `data`; absent: the data of the bundle. */
  readonly data?: string
  /** How the document is arranged as `input`; absent: as it is. */
  readonly input?: JsonObject
}

interface Loaded {
  evaluate(input: ArrayBuffer, entrypoint: string): unknown
}

/**
 * Loads the bundle. Throws `ConfigError` for what is not one, for an unknown entrypoint, and where the package
 * `@open-policy-agent/opa-wasm` is not installed. A policy that aborts is an `error`, and so is a built-in function that
 * this runtime does not have. Does not turn a failing built-in function into an error where OPA compiled it to be
 * undefined (division by zero, for example), does not interrupt a policy that takes long, verifies no signature of a bundle.
 */
export async function createOpaWasmEngine(options: OpaWasmEngineOptions): Promise<Engine> {
  const { entrypoint, input } = options
  const bundle = await loadBundle(options)
  let loaded = await instantiate(bundle, entrypoint)
  let spoiled = false
  const version = toVersion(bundle, entrypoint)
  const ask = async (asked: Json): Promise<JsonAnswer> => {
    // What was thrown out of WebAssembly left its memory as it was; the next question does not meet it.
    if (spoiled) loaded = await instantiate(bundle, entrypoint)
    spoiled = true
    const result = parseResult(readSet(loaded.evaluate(toBytes(asked), entrypoint)))
    spoiled = false
    return {
      ...result,
      policies: result.policies.length > 0 || result.outcome === 'undefined' ? result.policies : [entrypoint],
    }
  }
  return createJsonEngine({
    kind: 'opa-wasm',
    version: () => version,
    ...(input === undefined ? {} : { input }),
    ask,
    close: () => {},
  })
}

async function loadBundle({ bundle, data }: OpaWasmEngineOptions): Promise<Bundle> {
  const read = readBundle(await orConfigError(bundle, readFile(bundle)))
  if (data === undefined) return read
  return { ...read, data: new Uint8Array(await orConfigError(data, readFile(data))) }
}

async function instantiate({ wasm, data }: Bundle, entrypoint: string): Promise<Loaded> {
  const opa = await importOpa()
  let policy: Awaited<ReturnType<typeof opa.loadPolicy>>
  try {
    policy = await opa.loadPolicy(new Uint8Array(wasm))
    if (data !== undefined) policy.setData(toBytes(parseJson(data, { numbers: 'any' })))
  } catch (cause) {
    throw new ConfigError('the `bundle` is not a policy that was built with `opa build -t wasm`', { cause })
  }
  const names: unknown = policy.entrypoints
  if (typeof names === 'object' && names !== null && Object.hasOwn(names, entrypoint)) return policy
  const known = typeof names === 'object' && names !== null ? Object.keys(names).map((name) => `\`${name}\``) : []
  throw new ConfigError(`the bundle has no entrypoint \`${entrypoint}\`, it has ${known.join(', ')}`)
}

async function importOpa(): Promise<typeof import('@open-policy-agent/opa-wasm')> {
  try {
    return await import('@open-policy-agent/opa-wasm')
  } catch (cause) {
    throw new ConfigError('the engine `opa-wasm` needs the package `@open-policy-agent/opa-wasm`, install it', {
      cause,
    })
  }
}

/** A result set: empty when the rule is undefined, else one item. */
function readSet(answer: unknown): Json | undefined {
  const set = parseJson(JSON.stringify(answer ?? null), { numbers: 'any', maxDepth: 128 })
  if (!isJsonArray(set) || set.length > 1) throw new InputError('result set is not one')
  const [only] = set
  if (only === undefined) return undefined
  if (!isJsonObject(only)) throw new InputError('result set is not one')
  return only['result']
}

function toBytes(value: Json): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = new TextEncoder().encode(JSON.stringify(value))
  return buffer.slice(byteOffset, byteOffset + byteLength)
}

function toVersion({ wasm, data }: Bundle, entrypoint: string): string {
  const hash = createHash('sha256').update(JSON.stringify([entrypoint, wasm.byteLength]))
  return `sha-256:${hash
    .update(wasm)
    .update(data ?? new Uint8Array())
    .digest('base64url')}`
}

async function orConfigError<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new ConfigError(`cannot read \`${path}\``, { cause })
  }
}
