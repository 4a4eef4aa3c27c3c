/**
 * @module
 * TLS to an engine: known by its authority, or not asked. Seen to fail: with `rejectUnauthorized: false` in the client.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOpaEngine } from '../../src/engines/opa.ts'
import { sampleDocument } from '../../src/testing/index.ts'
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'

describe.skipIf(!hasOpenssl)('an engine behind TLS', () => {
  let dir: string
  let port = 0
  let server: Server
  const seen: (string | undefined)[] = []
  const read = (name: string): string => readFileSync(join(dir, name), 'utf8')

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'unbearer-engine-tls-'))
    for (const authority of ['ours', 'theirs']) makeAuthority(dir, authority)
    makeCertificate(dir, 'server', 'ours')
    makeCertificate(dir, 'client', 'ours')
    const credentials = { cert: read('server.pem'), key: read('server.key'), ca: read('ours.pem') }
    server = createServer({ ...credentials, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      seen.push(request.headers.authorization)
      response.end('{"result":true}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
  })
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    rmSync(dir, { recursive: true, force: true })
  })

  const start = async (tls: { ca?: string; cert?: string; key?: string }, host = 'localhost') =>
    createOpaEngine({
      url: `https://${host}:${port}`,
      path: 'a/b',
      tls,
      headers: { authorization: 'Bearer s3cret' },
      timeoutMs: 2_000,
    })

  it('is asked with our credential when its authority is the one that was configured', async () => {
    const engine = await start({ ca: read('ours.pem') })
    expect((await engine.evaluate(sampleDocument)).outcome).toBe('permit')
    expect(seen.at(-1)).toBe('Bearer s3cret')
    await engine.close()
  })

  it('may ask for a certificate of ours', async () => {
    let subject = ''
    server.once('secureConnection', (socket) => (subject = socket.getPeerCertificate().subject?.CN?.toString() ?? ''))
    const engine = await start({ ca: read('ours.pem'), cert: read('client.pem'), key: read('client.key') })
    expect((await engine.evaluate(sampleDocument)).outcome).toBe('permit')
    expect(subject).toBe('client')

    await engine.close()
  })

  it.each([
    ['of an authority that nobody configured', {}, 'localhost'],
    ['of another authority', { ca: 'theirs.pem' }, 'localhost'],
    ['for another name', { ca: 'ours.pem' }, '127.0.0.1'],
  ])('is never sent anything when its certificate is %s', async (_what, { ca }: { ca?: string }, host) => {
    const before = seen.length
    const tls = ca === undefined ? {} : { ca: read(ca) }
    await expect(start(tls, host)).rejects.toThrow('its certificate is not accepted')
    expect(seen.length).toBe(before)
  })
})
