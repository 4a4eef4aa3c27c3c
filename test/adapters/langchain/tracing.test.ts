/**
 * @module
 * LangSmith's tracing is switched on by the environment and needs no callback. What it is told of a guarded tool must be what
 * was released.
 */
import { createServer } from 'node:http'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { createBench, native, toCall, toInput, toModel } from './scene.ts'

describe.skipIf(native === undefined)('a tracer from the environment', () => {
  let told = ''
  const collector = createServer((request, response) => {
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => (told += chunk))
    request.on('end', () => {
      response.writeHead(request.method === 'GET' ? 200 : 202, { 'content-type': 'application/json' }).end('{}')
    })
  })

  beforeAll(async () => {
    await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve))
    const address = collector.address()
    const port = typeof address === 'object' ? address?.port : undefined
    vi.stubEnv('LANGSMITH_TRACING', 'true')
    vi.stubEnv('LANGSMITH_API_KEY', 'test')
    vi.stubEnv('LANGSMITH_ENDPOINT', `http://127.0.0.1:${port}`)
  })
  afterAll(async () => {
    vi.unstubAllEnvs()
    collector.closeAllConnections()
    await new Promise((resolve) => collector.close(resolve))
  })

  it.each([true, false])('is told of the result (guarded: %s)', async (isGuarded) => {
    told = ''
    const bench = createBench()
    bench.pep.script = 'redact'
    const agent = bench.using.langchain.createAgent({
      model: toModel(bench, [toCall('c1', 'read_file', '/ok')]),
      tools: isGuarded ? bench.guard() : bench.originals,
      middleware: isGuarded ? [bench.enforce()] : [],
    })
    await agent.invoke(toInput(bench))
    await vi.waitFor(() => expect(told).toContain('"name":"LangGraph"'), { timeout: 5000 })
    await vi.waitFor(() => expect(told).toContain(isGuarded ? '[redacted]' : 'SECRET final'), { timeout: 5000 })
    expect(told.includes('SECRET')).toBe(!isGuarded)
  })
})
