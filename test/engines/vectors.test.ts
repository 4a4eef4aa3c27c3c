/**
 * @module
 * The vectors of `docs/reference/encoding.md` for every engine: what a policy sees of null, fractions, big numbers and
 * hostile names, and what no engine is shown.
 */
import { readFileSync } from 'node:fs'
import { loadPolicy } from '@open-policy-agent/opa-wasm'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createAuthzenEngine } from '../../src/engines/authzen.ts'
import { toCedarCall } from '../../src/engines/cedar-encoding.ts'
import { createEngineHttp } from '../../src/engines/http-client.ts'
import { readBundle } from '../../src/engines/opa-bundle.ts'
import { createOpaEngine } from '../../src/engines/opa.ts'
import { createTopazEngine } from '../../src/engines/topaz.ts'
import type { Engine, EngineDocument, Json } from '../../src/index.ts'
import { toDocument } from '../fixtures/engine-request.ts'
import { findEngine, startOpa, type EngineServer } from '../support/engine-servers.ts'
import { startStandIn } from '../support/stand-in.ts'
import { startTopaz, type TopazServer } from '../support/topaz-server.ts'

interface Vector {
  readonly name: string
  readonly value: Json
  readonly json: string
  readonly cedar: Json
  readonly rego: string
}

interface Whole {
  readonly name: string
  readonly document: EngineDocument
  readonly refused?: string
}

const read = (file: string): { readonly vectors: never } =>
  JSON.parse(readFileSync(`docs/reference/vectors/${file}`, 'utf8'))

const { vectors }: { readonly vectors: readonly Vector[] } = read('engine-values.json')

function withValue(value: Json): EngineDocument {
  const document = toDocument()
  return { ...document, context: { ...document.context, arguments: { value } } }
}

it('there are vectors', () => expect(vectors.length).toBeGreaterThan(20))

describe('cedar', () => {
  it.each(vectors)('$name', ({ value, cedar }) => {
    const tagged = toCedarCall(withValue(value)).entities.find(
      ({ uid }) => 'type' in uid && uid.type === 'Unbearer::Arguments',
    )
    expect(tagged?.tags?.['/value']).toEqual(cedar)
  })
})

describe('opa-wasm', () => {
  it.each(vectors)('$name', async ({ value, rego }) => {
    const { wasm } = readBundle(readFileSync('test/fixtures/engines/shown.tar.gz'))
    const policy = await loadPolicy(new Uint8Array(wasm))
    const [{ result }]: [{ result: { type: string; json: string } }] = policy.evaluate(withValue(value))
    expect([result.type, JSON.parse(result.json)]).toEqual([rego, value])
  })
})

const binary = findEngine('opa')

describe.skipIf(binary === undefined)('opa', () => {
  let server: EngineServer
  beforeAll(async () => {
    server = await startOpa(binary ?? '', ['test/fixtures/engines/contract'])
  })
  afterAll(async () => server.stop())

  it.each(vectors)('$name', async ({ value, rego }) => {
    const http = createEngineHttp({ url: server.url, timeoutMs: 5_000 })
    const { body } = await http.post('/v1/data/contract/shown/seen', {
      input: JSON.parse(JSON.stringify(withValue(value))),
    })
    http.close()
    const { result }: { result: { type: string; json: string } } = JSON.parse(JSON.stringify(body))
    expect([result.type, JSON.parse(result.json)]).toEqual([rego, value])
  })
})

const topazd = findEngine('topazd')

describe.skipIf(topazd === undefined)('topaz', () => {
  let server: TopazServer
  beforeAll(async () => {
    const policies = ['test/fixtures/engines/contract', 'test/fixtures/engines/topaz']
    server = await startTopaz(topazd ?? '', { policies })
  }, 60_000)
  afterAll(async () => server?.stop())

  it.each(vectors)('$name', async ({ value, rego }) => {
    const answer: { readonly response: { readonly result: readonly Bound[] } } = JSON.parse(
      JSON.stringify(await server.query('x = data.topaz.seen', withValue(value))),
    )
    const { x } = answer.response.result[0]?.bindings ?? {}
    expect([x?.type, JSON.parse(x?.json ?? '')]).toEqual([rego, value])
  })
})

interface Bound {
  readonly bindings: { readonly x: { readonly type: string; readonly json: string } }
}

describe('the wire', () => {
  const permit = { result: true, decision: true, decisions: [{ decision: 'allowed', is: true }] }
  const sent: string[] = []
  let server: EngineServer
  let engines: readonly Engine[]
  beforeAll(async () => {
    server = await startStandIn((path, body) => {
      sent.push(JSON.stringify(body ?? null))
      return path.startsWith('/.well-known') ? { status: 404, body: {} } : { body: permit }
    })
    const connection = { url: server.url, timeoutMs: 5_000 }
    engines = [
      await createOpaEngine({ ...connection, path: 'a' }),
      await createTopazEngine({ ...connection, path: 'a' }),
      await createAuthzenEngine(connection),
    ]
  })
  afterAll(async () => {
    await Promise.all(engines.map(async (engine) => engine.close()))
    await server.stop()
  })

  it.each(vectors)('carries $name', async ({ value, json }) => {
    for (const engine of engines) {
      expect((await engine.evaluate(withValue(value))).outcome).toBe('permit')
      expect(sent.at(-1)).toContain(`"arguments":{"value":${json}}`)
    }
  })

  const { vectors: whole }: { readonly vectors: readonly Whole[] } = read('encoding.json')
  const refused = whole.filter((vector) => vector.refused === 'system.malformed')
  it.each(refused)('never carries $name', async ({ document }) => {
    const before = sent.length
    for (const engine of engines) expect((await engine.evaluate(document)).outcome).toBe('error')
    expect(sent.length).toBe(before)
  })
})
