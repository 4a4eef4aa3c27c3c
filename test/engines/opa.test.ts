/**
 * @module
 * What only a real OPA shows: the id under which it logs a decision, bundles that are active, not there, or replaced while it
 * runs, and a server that is stopped and comes back. Seen to fail: without `?bundles=true` an OPA without its bundle is healthy.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createServer, type Server } from 'node:http'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createOpaEngine } from '../../src/engines/opa.ts'
import { sampleDocument } from '../../src/testing/index.ts'
import { findEngine, findPort, startOpa, type EngineServer } from '../support/engine-servers.ts'

const opa = findEngine('opa')
const timeoutMs = 5_000

const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  for (let turn = 0; turn < 200 && !(await isSo()); turn += 1) await new Promise((resolve) => setTimeout(resolve, 50))
}

describe.skipIf(opa === undefined)('a real OPA', () => {
  let dir: string
  let bundles: Server
  let bundle: Buffer | undefined
  let flags: readonly string[]
  const running: EngineServer[] = []
  const children: ChildProcess[] = []

  const build = (permits: boolean): Buffer => {
    writeFileSync(join(dir, 'p.rego'), `package agents\ndefault allow := ${permits}\n`)
    execFileSync(opa ?? '', ['build', join(dir, 'p.rego'), '-r', `revision-${permits}`, '-o', join(dir, 'b.tar.gz')])
    return readFileSync(join(dir, 'b.tar.gz'))
  }
  const start = async (): Promise<EngineServer> => {
    const server = await startOpa(opa ?? '', [], { flags })
    running.push(server)
    return server
  }

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'unbearer-opa-'))
    bundles = createServer((_request, response) =>
      bundle === undefined ? response.writeHead(404).end() : response.end(bundle),
    )
    const port = await findPort()
    await new Promise<void>((resolve) => bundles.listen(port, '127.0.0.1', resolve))
    const settings = [
      `services.shop.url=http://127.0.0.1:${port}`,
      'bundles.agents.service=shop',
      'bundles.agents.polling.min_delay_seconds=1',
      'bundles.agents.polling.max_delay_seconds=1',
    ]
    flags = settings.flatMap((setting) => ['--set', setting])
  })
  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(running.map(async (server) => server.stop()))
    await new Promise((resolve) => bundles.close(resolve))
    rmSync(dir, { recursive: true, force: true })
  })

  it('is not asked before its bundle is active; a new one is told by the version of the verdict', async () => {
    bundle = undefined
    const server = await start()
    const open = async () => createOpaEngine({ url: server.url, path: 'agents/allow', timeoutMs })
    await expect(open()).rejects.toThrow('opa is not healthy, or a bundle is not active')
    bundle = build(true)
    await until(async () => (await fetch(`${server.url}/health?bundles=true`)).ok)
    const engine = await open()
    expect(await engine.problems?.()).toEqual([])
    const before = await engine.evaluate(sampleDocument)
    expect([before.outcome, before.version.split(':')[0]]).toEqual(['permit', 'sha-256'])
    bundle = build(false)
    await until(async () => (await engine.evaluate(sampleDocument)).outcome === 'deny')
    const after = await engine.evaluate(sampleDocument)
    expect(after.outcome).toBe('deny')
    expect(after.version).not.toBe(before.version)
    await engine.close()
  })

  it('logs a decision under the id that the verdict keeps', async () => {
    const port = await findPort()
    writeFileSync(join(dir, 'log.rego'), 'package agents\ndefault allow := true\n')
    const args = ['run', '--server', '--addr', `127.0.0.1:${port}`, '--set', 'decision_logs.console=true']
    const child = spawn(opa ?? '', [...args, '--log-level', 'info', join(dir, 'log.rego')])
    children.push(child)
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const url = `http://127.0.0.1:${port}`
    await until(async () =>
      fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    )
    const engine = await createOpaEngine({ url, path: 'agents/allow', timeoutMs })
    const { decisionId = '' } = await engine.evaluate(sampleDocument)
    expect(decisionId).toMatch(/^[0-9a-f-]{36}$/)
    await until(async () => said.includes(decisionId))
    const logged = said.split('\n').find((line) => line.includes(decisionId))
    expect(JSON.parse(logged ?? '')).toMatchObject({
      path: 'agents/allow',
      result: true,
      input: { subject: { id: 'alice' } },
    })
    await engine.close()
  })

  it('that is stopped denies, says so for `/readyz`, and is asked again when it is back', async () => {
    bundle = build(true)
    const server = await start()
    await until(async () => (await fetch(`${server.url}/health?bundles=true`)).ok)
    const engine = await createOpaEngine({ url: server.url, path: 'agents/allow', timeoutMs })
    expect((await engine.evaluate(sampleDocument)).outcome).toBe('permit')
    await server.stop()
    const { outcome, fault } = await engine.evaluate(sampleDocument)
    expect([outcome, fault]).toEqual(['unavailable', 'cannot be reached'])
    expect(await engine.problems?.()).toEqual(['opa: cannot be reached'])
    const { port } = new URL(server.url)
    const again = spawn(opa ?? '', ['run', '--server', '--addr', `127.0.0.1:${port}`, '--log-level', 'error', ...flags])
    children.push(again)
    await until(async () => (await engine.problems?.())?.length === 0)
    expect((await engine.evaluate(sampleDocument)).outcome).toBe('permit')
    await engine.close()
  })
})
