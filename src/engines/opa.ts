/**
 * @module
 * The OPA engine: a running server, asked over its Data API (`POST /v1/data/PATH`). Undefined is no result, and denies.
 * Built-in functions that fail are asked to fail the query: OPA would otherwise go on as if the rule were not there.
 */
import { createHash } from 'node:crypto'
import { ConfigError, InputError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import type { Engine } from '../ports/engine.ts'
import { createEngineHttp, isAway, type EngineConnection, type EngineHttp, type EngineResponse } from './http-client.ts'
import { createJsonEngine, parseResult, type JsonAnswer } from './json-engine.ts'
import { assertAnswers } from './start.ts'

export interface OpaEngineOptions extends EngineConnection {
  /** Of the rule that is asked, for example `agents/allow`. Its value is a boolean or `{allow, obligations?, policies?}`. */
  readonly path: string
  /** How the document is arranged as `input`; absent: as it is. */
  readonly input?: JsonObject
}

const QUERY = '?provenance=true&strict-builtin-errors=true'

/**
 * Asks for health and bundles, then once for the rule. Throws `UnavailableError` when OPA is away or its bundles are not
 * active, `ConfigError` when it refuses us. A verdict names as version the revisions of the bundles that spoke, and
 * `unversioned:…` where there are none: OPA then does not tell which policies it has.
 * Does not know whether OPA's administration is protected: whoever may write policies there decides here.
 */
export async function createOpaEngine(options: OpaEngineOptions): Promise<Engine> {
  const { path, input } = options
  const target = toTarget(path)
  const http = createEngineHttp(options)
  let version = toVersion(`${http.base}${target}`, undefined)
  const engine = createJsonEngine({
    kind: 'opa',
    version: () => version,
    ...(input === undefined ? {} : { input }),
    ask: async (asked) => {
      const body = readBody(await http.post(`${target}${QUERY}`, { input: asked }))
      version = toVersion(`${http.base}${target}`, body['provenance'])
      return { ...toAnswer(body, path), version }
    },
    problems: async () => findProblems(http),
    close: () => http.close(),
  })
  await assertAnswers(engine, http.base, async () => http.probe(`${target}${QUERY}`, { input: {} }))
  return engine
}

/** Each part is encoded, so that a name with a slash or a dot pair reaches no other rule. */
function toTarget(path: string): string {
  const parts = path.replace(/^\/|\/$/g, '').split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..'))
    throw new ConfigError(`the \`path\` of opa: \`${path}\` is not the path of a rule, for example \`agents/allow\``)
  return `/v1/data/${parts.map(encodeURIComponent).join('/')}`
}

function toAnswer(body: JsonObject, path: string): JsonAnswer {
  const { decision_id: decisionId, result } = body
  const answer = parseResult(result)
  return {
    ...answer,
    policies: answer.policies.length > 0 || answer.outcome === 'undefined' ? answer.policies : [path],
    ...(typeof decisionId === 'string' ? { decisionId } : {}),
  }
}

/** OPA answers 500 where a policy failed, which is not that OPA was away. */
function readBody({ status, body }: EngineResponse): JsonObject {
  if (isAway(status)) throw new UnavailableError(`status ${status}`)
  if (status !== 200) throw new InputError(`status ${status}`)
  if (!isJsonObject(body)) throw new InputError('answer is not an object')
  return body
}

function toVersion(target: string, provenance: Json | undefined): string {
  const revisions = toRevisions(provenance)
  const digest = createHash('sha256')
    .update(JSON.stringify([target, revisions]))
    .digest('base64url')
  return revisions.length === 0 ? `unversioned:sha-256:${digest}` : `sha-256:${digest}`
}

/** Names and revisions of bundles, sorted by name; empty when one of them has none. */
function toRevisions(provenance: Json | undefined): readonly (readonly [string, string])[] {
  const bundles = isJsonObject(provenance) && isJsonObject(provenance['bundles']) ? provenance['bundles'] : {}
  const revisions = Object.entries(bundles).map(([name, bundle]) => {
    const revision = isJsonObject(bundle) ? bundle['revision'] : undefined
    return [name, typeof revision === 'string' ? revision : ''] as const
  })
  return revisions.some(([, revision]) => revision === '') ? [] : revisions.toSorted(([a], [b]) => (a < b ? -1 : 1))
}

/** Health with the state of bundles: 200, or 500 with an empty body while one is not active. */
async function findProblems(http: EngineHttp): Promise<readonly string[]> {
  try {
    const { status } = await http.get('/health?bundles=true')
    return status === 200 ? [] : [`opa is not healthy, or a bundle is not active: status ${status}`]
  } catch (cause) {
    return [`opa: ${cause instanceof Error ? cause.message : 'no answer'}`]
  }
}
