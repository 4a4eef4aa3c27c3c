/**
 * @module
 * The Topaz engine: its authorizer (`POST /api/v2/authz/is`), with the subject as identity, which Topaz looks up in its
 * directory, and the document as resource context. Policies read it as `input.resource`.
 */
import { createHash } from 'node:crypto'
import { ConfigError, InputError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import type { Engine } from '../ports/engine.ts'
import { createEngineHttp, isAway, type EngineConnection, type EngineResponse } from './http-client.ts'
import { createJsonEngine, type JsonAnswer } from './json-engine.ts'
import { assertAnswers } from './start.ts'

/** `sub`: looked up in the directory. `manual`: given to the policy as it is. `none`: the policy gets no identity. */
export type TopazIdentity = 'sub' | 'manual' | 'none'

export interface TopazEngineOptions extends EngineConnection {
  /** The package of the policy, dotted: `agents.tools`. */
  readonly path: string
  /** The rule in it, a boolean. Default `allowed`. */
  readonly decision?: string
  /** Default `sub`. */
  readonly identity?: TopazIdentity
  /** The name of the policy instance, where Topaz serves several. */
  readonly instance?: string
  /** How the document is arranged as resource context; absent: as it is. */
  readonly input?: JsonObject
}

const TARGET = '/api/v2/authz/is'
/** Of gRPC. */
const NOT_FOUND = 5
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/
/** With the identity beside it, which `input` does not arrange. */
const IDENTITY = 'identity'
const RESOURCE = 'resource'

/**
 * Asks once at start. Throws `UnavailableError` when Topaz is away, `ConfigError` when it refuses us or the path is not one.
 * Topaz does not tell which policies it has, so that the version is `unversioned:…`, and keeps the ids of its decisions to
 * its own log. A principal whom the directory does not have gets `undefined`. Topaz cannot be asked to let a failing built-in
 * function fail the query (division by zero, for example): a rule that denies by one is as if it were not there.
 * Does not know what its directory says of a subject, nor who may write there.
 */
export async function createTopazEngine(options: TopazEngineOptions): Promise<Engine> {
  const { path, decision = 'allowed', identity = 'sub', instance, input } = options
  assertNames(path, decision)
  const http = createEngineHttp(options)
  const version = toVersion([http.base, instance ?? '', path, decision])
  const toBody = (who: JsonObject, resource: JsonObject): Json => ({
    identity_context: who,
    policy_context: { path, decisions: [decision] },
    ...(instance === undefined ? {} : { policy_instance: { name: instance } }),
    resource_context: resource,
  })
  // Of nobody: the directory would not know a name that stands for no principal, and answer as it answers a stranger.
  const probe = async (): Promise<EngineResponse> => http.probe(TARGET, toBody(toIdentity('none', ''), {}))
  const engine = createJsonEngine({
    kind: 'topaz',
    version: () => version,
    input: { [IDENTITY]: '/subject/id', [RESOURCE]: input ?? '/' },
    ask: async (asked) => {
      const { [IDENTITY]: who, [RESOURCE]: resource } = isJsonObject(asked) ? asked : {}
      if (typeof who !== 'string' || !isJsonObject(resource)) throw new InputError('resource context is not an object')
      return toAnswer(await http.post(TARGET, toBody(toIdentity(identity, who), resource)), path, decision)
    },
    problems: async () => {
      try {
        const { status, body } = await probe()
        if (isAway(status)) return [`topaz is not healthy: status ${status}`]
        return saysInMessage(body, 'invalid rule')
          ? [`topaz has no rule \`${path}.${decision}\`, look at its bundles and at \`path\` of the engine`]
          : []
      } catch (cause) {
        return [`topaz: ${cause instanceof Error ? cause.message : 'no answer'}`]
      }
    },
    close: () => http.close(),
  })
  await assertAnswers(engine, http.base, probe)
  return engine
}

/** Topaz builds a Rego query out of both: anything but names could make it another query. */
function assertNames(path: string, decision: string): void {
  if (!path.split('.').every((name) => NAME.test(name)))
    throw new ConfigError(`the \`path\` of topaz: \`${path}\` is not a package, for example \`agents.tools\``)
  if (!NAME.test(decision))
    throw new ConfigError(`the \`decision\` of topaz: \`${decision}\` is not the name of a rule`)
}

function toIdentity(identity: TopazIdentity, who: string): JsonObject {
  return identity === 'none'
    ? { type: 'IDENTITY_TYPE_NONE' }
    : { type: `IDENTITY_TYPE_${identity.toUpperCase()}`, identity: who }
}

/** One decision, ours. Protocol buffers may leave out `is` when it is false; anything but a boolean is no answer. */
function toAnswer({ status, body }: EngineResponse, path: string, decision: string): JsonAnswer {
  const policies = [`${path}.${decision}`]
  if (isAway(status)) throw new UnavailableError(`status ${status}`)
  if (isUndefined(status, body)) return { outcome: 'undefined', policies: [], obligations: [] }
  if (status !== 200) throw new InputError(`status ${status}`)
  const decisions = isJsonObject(body) ? body['decisions'] : undefined
  const [only] = isJsonArray(decisions) && decisions.length === 1 ? decisions : []
  if (!isJsonObject(only) || only['decision'] !== decision) throw new InputError('answer is not about the decision')
  const { is = false } = only
  if (typeof is !== 'boolean') throw new InputError('decision is not a boolean')
  return { outcome: is ? 'permit' : 'deny', policies, obligations: [] }
}

/**
 * Topaz reports a rule that has no value as a bad query, and a principal that its directory does not have as one who is not
 * authenticated: 401 as for a credential of ours that it refuses, but with the code of gRPC for what was not found.
 */
function isUndefined(status: number, body: Json | undefined): boolean {
  if (status === 401) return isJsonObject(body) && body['code'] === NOT_FOUND
  return status === 400 && saysInMessage(body, 'undefined results')
}

function saysInMessage(body: Json | undefined, phrase: string): boolean {
  const message = isJsonObject(body) ? body['message'] : undefined
  return typeof message === 'string' && message.includes(phrase)
}

function toVersion(parts: readonly string[]): string {
  return `unversioned:sha-256:${createHash('sha256').update(JSON.stringify(parts)).digest('base64url')}`
}
