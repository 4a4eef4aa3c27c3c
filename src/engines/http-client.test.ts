/**
 * @module
 * The way to an engine elsewhere: which addresses it takes, what it sends, and which faults it tells apart. What a hostile server
 * answers is in the wire contract (`unbearer/testing`).
 */
import { createServer, type Server } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { createEngineHttp, isAway, parseEngineUrl } from './http-client.ts'

describe('the address of an engine', () => {
  it.each([
    'https://opa.example',
    'https://10.0.0.1:8181/tenant',
    'http://localhost:1',
    'http://127.9.9.9',
    'http://[::1]:5',
  ])('may be %s', (url) => {
    expect(() => parseEngineUrl(url)).not.toThrow()
  })

  it.each([
    'http://opa.example',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'http://0.0.0.0:8181',
    'ftp://localhost',
    'https://user:secret@opa.example',
    'https://opa.example?x=1',
    'https://opa.example#x',
    'opa.example',
  ])('may not be %s', (url) => {
    expect(() => parseEngineUrl(url)).toThrow('the engine `url`')
  })

  it('is not repeated with the credential that stood in it', () => {
    expect(() => parseEngineUrl('https://user:s3cret@opa.example')).toThrow(expect.not.stringContaining('s3cret'))
  })
})

describe('an exchange', () => {
  const servers: Server[] = []
  afterEach(async () => {
    await Promise.all(
      servers.splice(0).map(async (server) => {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }),
    )
  })
  const serve = async (on: Parameters<typeof createServer>[1]): Promise<string> => {
    const server = createServer(on ?? (() => {}))
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  }

  it('keeps the path of the base, and puts a well-known address in front of it', async () => {
    const seen: string[] = []
    const url = await serve((request, response) => {
      const { 'x-key': given, 'content-type': type } = request.headers
      seen.push([request.method, request.url, given, type].join(' '))
      response.end('{}')
    })
    const http = createEngineHttp({ url: `${url}/tenant/`, headers: { 'x-key': 'k' }, timeoutMs: 2_000 })
    await http.post('/v1/data', { input: null })
    await http.get('/health')
    await http.getAtRoot('/.well-known/x')
    http.close()
    expect(http.base).toBe(`${url}/tenant`)
    expect(seen).toEqual([
      'POST /tenant/v1/data k application/json',
      'GET /tenant/health k ',
      'GET /.well-known/x/tenant k ',
    ])
  })

  it('takes an empty body for none, and a number that does not round-trip as it comes', async () => {
    const url = await serve((request, response) =>
      response.end(request.url === '/empty' ? '' : '{"n":9007199254740993}'),
    )
    const http = createEngineHttp({ url, timeoutMs: 2_000 })
    expect(await http.get('/empty')).toEqual({ status: 200 })
    expect((await http.get('/n')).status).toBe(200)
    http.close()
  })

  it('holds a question to its time, and a probe to a longer one', async () => {
    const url = await serve((_request, response) => void setTimeout(() => response.end('{}'), 400))
    const http = createEngineHttp({ url, timeoutMs: 100 })
    await expect(http.post('/a', {})).rejects.toMatchObject({ code: 'ERR_UNBEARER_UNAVAILABLE', message: 'time-out' })
    expect((await http.probe('/a', {})).status).toBe(200)
    http.close()
  })

  it('says that nobody is there, without saying where', async () => {
    const url = await serve(() => {})
    const server = servers.pop()
    await new Promise((resolve) => server?.close(resolve))
    const http = createEngineHttp({ url, timeoutMs: 2_000 })
    await expect(http.post('/a', {})).rejects.toThrow(/^cannot be reached$/)
    http.close()
  })
})

it('knows which statuses say that the engine is away', () => {
  expect([200, 400, 401, 404, 429, 500, 501, 502, 503, 504, 599, 600].filter(isAway)).toEqual([429, 502, 503, 504, 599])
})
