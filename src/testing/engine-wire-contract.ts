/**
 * @module
 * The contract of engines that ask a server: whatever comes over the wire instead of an answer, the verdict denies and says
 * why, and the next right answer counts again. A hostile server on the loopback stands in for the real one.
 */
import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Engine, Json } from '../index.ts'
import { sampleDocument } from './engine-contract.ts'
import type { ContractCase } from './store-contract.ts'

/** What the hostile server has to know of the protocol to get as far as the fault. */
export interface EngineWire {
  /** An engine that asks the server at `url`. It may wait 300 milliseconds for a verdict. */
  readonly make: (url: string) => Promise<Engine>
  /** Whether a request asks for a verdict; all others are answered `200 {}`. */
  readonly isQuestion: (path: string) => boolean
  /** The text of a right answer in which `verdict` stands where `true` permits. */
  readonly answer: (verdict: Json) => string
  /** What the server says to a request that is no question, where `200 {}` will not do. */
  readonly other?: (path: string, url: string) => { readonly status: number; readonly body: string }
}

type Misbehaviour = (response: ServerResponse, permit: string, url: string) => void
interface WireFault {
  readonly outcome: 'error' | 'unavailable' | 'either'
  readonly does: Misbehaviour
}

const say =
  (status: number, body: string | ((permit: string) => string), headers: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse, permit: string): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers })
    response.end(typeof body === 'string' ? body : body(permit))
  }

const same = (permit: string): string => permit

/** Each of these would be a permit for an engine that looks away. */
const FAULTS: Readonly<Record<string, WireFault>> = {
  'a connection that is closed before any answer': {
    outcome: 'unavailable',
    does: (response) => response.socket?.destroy(),
  },
  'a connection that is lost in the middle of the answer': {
    outcome: 'unavailable',
    does(response, permit) {
      response.writeHead(200, { 'content-length': String(permit.length + 1) })
      response.write(permit, () => setTimeout(() => response.socket?.destroy(), 20))
    },
  },
  'a chunked answer whose end never comes': {
    outcome: 'unavailable',
    does(response, permit) {
      response.writeHead(200)
      response.write(permit, () => setTimeout(() => response.socket?.destroy(), 20))
    },
  },
  'no answer at all': { outcome: 'unavailable', does: () => {} },
  'an answer after the deadline': {
    outcome: 'unavailable',
    does: (response, permit) => setTimeout(() => response.end(permit), 1_500),
  },
  'an answer that trickles past the deadline': {
    outcome: 'unavailable',
    does(response, permit) {
      response.writeHead(200)
      const bytes = permit.split('')
      const timer = setInterval(() => {
        if (response.destroyed) return clearInterval(timer)
        const next = bytes.shift()
        if (next !== undefined) return void response.write(next)
        clearInterval(timer)
        response.end()
      }, 100)
    },
  },
  'what is not HTTP': { outcome: 'either', does: (response) => response.socket?.end('true\r\n\r\n') },
  'two lengths': {
    outcome: 'either',
    does: (response, permit) =>
      response.socket?.end(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: ${permit.length}\r\n\r\n${permit}`),
  },
  'a redirect to a place that permits': {
    outcome: 'error',
    does: (response, permit, url) => say(307, permit, { location: `${url}/elsewhere` })(response, permit),
  },
  'status 201 with a permit': { outcome: 'error', does: say(201, same) },
  'status 203 with a permit': { outcome: 'error', does: say(203, same) },
  'status 400 with a permit': { outcome: 'error', does: say(400, same) },
  'status 401 with a permit': { outcome: 'error', does: say(401, same) },
  'status 403 with a permit': { outcome: 'error', does: say(403, same) },
  'status 404 with a permit': { outcome: 'error', does: say(404, same) },
  'status 429 with a permit': { outcome: 'unavailable', does: say(429, same) },
  'status 500 with a permit': { outcome: 'error', does: say(500, same) },
  'status 503 with a permit': { outcome: 'unavailable', does: say(503, same) },
  'status 502 in HTML': {
    outcome: 'unavailable',
    does: say(502, '<html>bad gateway</html>', { 'content-type': 'text/html' }),
  },
  'HTML with status 200': { outcome: 'error', does: say(200, '<html>welcome</html>', { 'content-type': 'text/html' }) },
  'an empty answer': { outcome: 'error', does: say(200, '') },
  'half an answer': { outcome: 'error', does: say(200, (permit) => permit.slice(0, -1)) },
  'an answer and something after it': { outcome: 'error', does: say(200, (permit) => `${permit} {}`) },
  'an answer that is a list': { outcome: 'error', does: say(200, (permit) => `[${permit}]`) },
  'an answer that is a text': { outcome: 'error', does: say(200, (permit) => JSON.stringify(permit)) },
  'an answer that is `true`': { outcome: 'error', does: say(200, 'true') },
  'an answer that is `null`': { outcome: 'error', does: say(200, 'null') },
  'an answer with a name twice': { outcome: 'error', does: say(200, (permit) => `{"x":1,"x":2,${permit.slice(1)}`) },
  'an answer of 2 MB': { outcome: 'error', does: say(200, (permit) => `${' '.repeat(2 * 1024 * 1024)}${permit}`) },
  'an answer without end': {
    outcome: 'error',
    does(response) {
      response.writeHead(200)
      const more = (): void => {
        while (!response.destroyed && response.write(' '.repeat(65_536))) {
          // until the socket is full
        }
      }
      response.on('drain', more)
      more()
    },
  },
  'an answer nested without end': { outcome: 'error', does: say(200, `{"result":${'['.repeat(100_000)}`) },
  'an answer in UTF-16': {
    outcome: 'error',
    does: (response, permit) => void response.end(Buffer.from(permit, 'utf16le')),
  },
}

/** Neither is `true`; an engine that asks whether they are truthy permits. */
const NOT_TRUE: readonly Json[] = ['true', 'permit', 1, 0, {}, [], [true], { value: true }, null, { allow: 'true' }, '']

/** The cases. Each must pass, in any order. Does not look at what the engine sends. */
export function engineWireContract(wire: EngineWire): readonly ContractCase[] {
  return [
    wireCase(wire, 'permits a right answer, and denies a right no', async (engine, scene) => {
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
      scene.misbehave = say(200, wire.answer(false))
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'deny')
    }),
    ...Object.entries(FAULTS).map(([name, { does, outcome }]) =>
      wireCase(wire, `denies for ${name}, and says why`, async (engine, scene) => {
        scene.misbehave = does
        assertFault(await engine.evaluate(sampleDocument), outcome)
        scene.misbehave = undefined
        assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
      }),
    ),
    ...NOT_TRUE.map((value) =>
      wireCase(wire, `does not take ${JSON.stringify(value)} for true`, async (engine, scene) => {
        scene.misbehave = say(200, wire.answer(value))
        assertFault(await engine.evaluate(sampleDocument), 'error')
      }),
    ),
    wireCase(wire, 'denies when the server is gone, and permits when it is back', async (engine, scene) => {
      await scene.stop()
      assertFault(await engine.evaluate(sampleDocument), 'unavailable')
      await scene.start()
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
    }),
    wireCase(wire, 'is not disturbed by a kept connection that the server closed', async (engine, scene) => {
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
      scene.drop()
      assert.equal((await engine.evaluate(sampleDocument)).outcome, 'permit')
    }),
    wireCase(wire, 'keeps 50 questions side by side apart', async (engine) => {
      const all = await Promise.all(Array.from({ length: 50 }, async () => engine.evaluate(sampleDocument)))
      assert.deepEqual(new Set(all.map(({ outcome }) => outcome)), new Set(['permit']))
    }),
    wireCase(wire, 'tells `problems` of a server that is gone', async (engine, scene) => {
      assert.deepEqual(await engine.problems?.(), [])
      await scene.stop()
      assert.equal((await engine.problems?.())?.length, 1)
    }),
  ]
}

function assertFault(verdict: Awaited<ReturnType<Engine['evaluate']>>, outcome: WireFault['outcome']): void {
  const expected = outcome === 'either' ? ['error', 'unavailable'] : [outcome]
  assert.ok(expected.includes(verdict.outcome), `outcome is ${verdict.outcome} for ${verdict.fault ?? 'no fault'}`)
  assert.deepEqual([verdict.obligations, verdict.policies], [[], []])
  assert.match(verdict.fault ?? '', /^[^A-Z].{3,60}[^.]$/)
}

interface Scene {
  misbehave: Misbehaviour | undefined
  start(): Promise<void>
  stop(): Promise<void>
  /** Closes connections that wait for their next request. */
  drop(): void
}

function wireCase(wire: EngineWire, name: string, run: (engine: Engine, scene: Scene) => Promise<void>): ContractCase {
  return {
    name,
    async run() {
      const { scene, url } = await openScene(wire)
      try {
        const engine = await wire.make(url)
        try {
          await run(engine, scene)
        } finally {
          await engine.close()
        }
      } finally {
        await scene.stop()
      }
    },
  }
}

async function openScene(wire: EngineWire): Promise<{ readonly scene: Scene; readonly url: string }> {
  let port = 0
  let server: Server | undefined
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const url = `http://127.0.0.1:${port}`
    const path = request.url ?? ''
    request.resume().on('end', () => {
      if (wire.isQuestion(path)) return (scene.misbehave ?? say(200, same))(response, wire.answer(true), url)
      const { status, body } = wire.other?.(path, url) ?? { status: 200, body: '{}' }
      return say(status, body)(response, '')
    })
  }
  const scene: Scene = {
    misbehave: undefined,
    async start() {
      const fresh = createServer(answer)
      await new Promise<void>((resolve, reject) => {
        fresh.once('error', reject)
        fresh.listen(port, '127.0.0.1', resolve)
      })
      const address = fresh.address()
      port = typeof address === 'object' && address !== null ? address.port : 0
      server = fresh
    },
    async stop() {
      const gone = server
      server = undefined
      if (gone === undefined) return
      gone.closeAllConnections()
      await new Promise((resolve) => gone.close(resolve))
    },
    drop: () => server?.closeAllConnections(),
  }
  await scene.start()
  return { scene, url: `http://127.0.0.1:${port}` }
}
