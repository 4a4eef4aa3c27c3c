/**
 * @module
 * The engines of the configuration as the rest of the program uses them: paths absolute, secrets to be revealed.
 */
import { ConfigError } from '../core/errors.ts'
import { isJsonObject, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import type { CoazShape, EngineShape } from './engine-schema.ts'
import type { SecretShape } from './schema-parts.ts'
import type { Secret } from './secrets.ts'

interface RemoteEngine {
  readonly url: string
  /** Headers. */
  readonly secrets: Readonly<Record<string, Secret>>
  readonly tls?: { readonly ca?: string; readonly cert?: Secret; readonly key?: Secret }
  readonly input?: JsonObject
}

export type EngineConfig =
  | { readonly kind: 'cedar'; readonly policies: string }
  | (RemoteEngine & { readonly kind: 'opa'; readonly path: string })
  | {
      readonly kind: 'opa-wasm'
      readonly bundle: string
      readonly entrypoint: string
      readonly data?: string
      readonly input?: JsonObject
    }
  | (RemoteEngine & {
      readonly kind: 'topaz'
      readonly path: string
      readonly decision: string
      readonly identity: 'sub' | 'manual' | 'none'
      readonly instance?: string
    })
  | (RemoteEngine & { readonly kind: 'authzen'; readonly evaluations: boolean; readonly coaz?: CoazShape })

type At = (path: string) => string
type ToSecret = (source: SecretShape) => Secret
type RemoteShape = Extract<EngineShape, { readonly url: string }>

/** One engine; `path` is that of the key, for errors. Throws `ConfigError`. Reads no file and no secret. */
export function toEngine(shape: EngineShape, path: string, at: At, secret: ToSecret): EngineConfig {
  switch (shape.kind) {
    case 'cedar':
      return { kind: shape.kind, policies: at(shape.policies) }
    case 'opa-wasm': {
      const { kind, bundle, entrypoint, data } = shape
      const where = { bundle: at(bundle), entrypoint, ...(data === undefined ? {} : { data: at(data) }) }
      return { kind, ...where, ...toInput(shape.input, path) }
    }
    case 'opa':
      return { kind: shape.kind, path: shape.path, ...toRemote(shape, path, at, secret) }
    case 'topaz': {
      const { kind, decision, identity, instance } = shape
      const asked = { path: shape.path, decision, identity, ...(instance === undefined ? {} : { instance }) }
      return { kind, ...asked, ...toRemote(shape, path, at, secret) }
    }
    case 'authzen':
    default:
      return {
        kind: shape.kind,
        evaluations: shape.evaluations,
        ...(shape.coaz === undefined ? {} : { coaz: shape.coaz }),
        ...toRemote(shape, path, at, secret),
      }
  }
}

function toRemote({ url, secrets, tls, input }: RemoteShape, path: string, at: At, secret: ToSecret): RemoteEngine {
  if ((tls?.cert === undefined) !== (tls?.key === undefined))
    throw new ConfigError(`\`${path}.tls\` in the configuration needs \`cert\` and \`key\`, or neither`)
  return {
    url,
    secrets: Object.fromEntries(Object.entries(secrets).map(([name, source]) => [name, secret(source)])),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            ...(tls.ca === undefined ? {} : { ca: at(tls.ca) }),
            ...(tls.cert === undefined ? {} : { cert: secret(tls.cert) }),
            ...(tls.key === undefined ? {} : { key: secret(tls.key) }),
          },
        }),
    ...toInput(input, path),
  }
}

function toInput(input: Readonly<Record<string, unknown>> | undefined, path: string): { readonly input?: JsonObject } {
  if (input === undefined) return {}
  const parsed = parseJson(JSON.stringify(input))
  if (isJsonObject(parsed)) return { input: parsed }
  throw new ConfigError(`\`${path}.input\` in the configuration is not an object`)
}
