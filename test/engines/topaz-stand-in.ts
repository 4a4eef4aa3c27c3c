/**
 * @module
 * Where Topaz is not built, its authorizer is played by a front over a real OPA: the input as Topaz arranges it (`identity`,
 * `policy`, `resource`), one boolean rule, and its answer for a rule that has no value. No directory is played.
 */
import { createEngineHttp } from '../../src/engines/http-client.ts'
import { createServer } from 'node:http'
import { isJsonObject, type Json } from '../../src/index.ts'
import type { EngineServer } from '../support/engine-servers.ts'

/** A front that answers `POST /api/v2/authz/is` by asking the OPA at `opa`. */
export async function startTopazOver(opa: string): Promise<EngineServer> {
  const http = createEngineHttp({ url: opa, timeoutMs: 20_000 })
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const asked: Json = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      void answer(asked, async (path, input) => (await http.post(`/v1/data/${path}`, { input })).body).then(
        ([status, body]) =>
          response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
        () => response.writeHead(500).end('{}'),
      )
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const stop = async (): Promise<void> => {
    http.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`, stop }
}

type Ask = (path: string, input: Json) => Promise<Json | undefined>

async function answer(asked: Json, ask: Ask): Promise<readonly [number, Json]> {
  const body = isJsonObject(asked) ? asked : {}
  const policy = isJsonObject(body['policy_context']) ? body['policy_context'] : {}
  const { path, decisions } = policy
  const decision: unknown = Array.isArray(decisions) ? decisions[0] : undefined
  if (typeof path !== 'string' || typeof decision !== 'string') return [400, { code: 3, message: 'invalid argument' }]
  const input = { identity: body['identity_context'], policy, resource: body['resource_context'] }
  const answered = await ask(`${path.replaceAll('.', '/')}/${decision}`, input)
  const result = isJsonObject(answered) ? answered['result'] : undefined
  if (result === undefined) return [400, { code: 3, message: 'bad query: undefined results' }]
  if (typeof result !== 'boolean') return [500, { code: 13, message: 'internal' }]
  return [200, { decisions: [{ decision, is: result }] }]
}
