/**
 * @module
 * Revocations in another process: the feed of a real server, followed by the client that resource servers use.
 */
import { connect, createServer, type Socket } from 'node:net'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { createRevocationView, type RevocationView, type RevocationViewOptions } from '../../src/client/index.ts'
import { UnavailableError, type Store } from '../../src/index.ts'
import { toClaims } from '../support/claims.ts'
import { clearFaults, faults } from '../support/faults.ts'
import { createInstallation, ISSUER, type Installation, type InstallationOptions } from '../support/installation.ts'
import { startRecordingUpstream } from '../support/recording-upstream.ts'

vi.mock('../../src/stores/memory.ts', async (importOriginal) => {
  const { toFaultyStore } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/stores/memory.ts')>()
  const createMemoryStore = (options: Parameters<typeof real.createMemoryStore>[0]): Store =>
    toFaultyStore(real.createMemoryStore(options))
  return { createMemoryStore }
})

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  clearFaults()
  for (const close of closers.splice(0).toReversed()) await close()
})

async function stage(options: Partial<InstallationOptions> = {}): Promise<Installation> {
  const upstream = await startRecordingUpstream()
  closers.push(async () => upstream.close())
  const installation = await createInstallation({ upstream, ...options })
  closers.push(async () => installation.close())
  return installation
}

async function follow(on: Installation, options: Partial<RevocationViewOptions> = {}): Promise<RevocationView> {
  const view = createRevocationView({ url: on.origin, issuer: ISSUER, key: on.keys.pep, ...options })
  closers.push(() => view.close())
  await view.ready()
  return view
}

interface Line {
  readonly url: string
  /** Nothing of what the server says comes through, and nobody is told. */
  hold(): void
  release(): void
  cut(): void
}

/** Whoever stands between the server and a PEP. */
async function startLine(port: number): Promise<Line> {
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
        sockets.delete(socket)
      })
    }
    client.pipe(upstream)
    upstream.on('data', (chunk: Buffer) => client.write(chunk))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const each = (act: (socket: Socket) => void): void => {
    for (const socket of sockets) act(socket)
  }
  closers.push(async () => {
    each((socket) => socket.destroy())
    await new Promise((resolve) => server.close(resolve))
  })
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    hold: () => each((socket) => socket.pause()),
    release: () => each((socket) => socket.resume()),
    cut: () => each((socket) => socket.destroy()),
  }
}

describe('the feed of revocations', () => {
  it('tells a PEP elsewhere of every dimension, before the command returns', async () => {
    const on = await stage()
    const view = await follow(on)
    const claims = toClaims(view.rev())
    expect(view.refuse(claims)).toBeUndefined()
    const by = on.enrolled.operator
    const { revocations } = on.serving.composed.services
    const dimensions = [
      ['credential', claims.jti],
      ['actor', claims.cnf.jkt],
      ['subject', claims.sub],
      ['grant', 'grant-1'],
      ['grant', 'grant-0'],
      ['task', claims.txn],
      ['tool', claims.authorization_details[0].identifier],
      ['all', '*'],
    ] as const
    for (const [dimension, id] of dimensions) {
      const rev = view.rev()
      expect(view.refuse({ ...claims, rev })).toBeUndefined()
      await revocations.revoke(dimension, id, by)
      await vi.waitFor(() => expect(view.rev()).toBe(revocations.rev()))
      expect(view.refuse({ ...claims, rev })).toBe('credential.revoked')
    }
  })

  it('waits for the canary of every subscriber, and names those that do not refuse it', async () => {
    const on = await stage()
    await follow(on)
    const deaf = await follow(on, { tryCanary: async () => Promise.resolve(undefined) })
    const revoke = async (id: string) => on.control('operator', 'revoke', { dimension: 'subject', id, wait: 500 })
    const first = await revoke('bob')
    expect(first).toMatchObject({
      peps: ['gateway', expect.stringMatching(/^pep \(/), expect.stringMatching(/^pep \(/)],
    })
    expect(first).toMatchObject({ silent: [expect.stringMatching(/^pep \(/)] })
    deaf.close()
    await vi.waitFor(() => expect(on.serving.composed.publisher.size()).toBe(1))
    // It left a moment ago, and may believe itself fresh.
    expect(await revoke('carol')).toMatchObject({ silent: [expect.stringMatching(/^pep \(/)] })
  })

  it('tells of the end of a stop of everything, and what was issued before stays refused', async () => {
    const on = await stage()
    const view = await follow(on)
    const claims = toClaims(view.rev())
    await on.control('operator', 'revoke', { dimension: 'all' })
    expect(view.find('all', '*')).toBeDefined()
    await on.control('operator', 'resume')
    await vi.waitFor(() => expect(view.find('all', '*')).toBeUndefined())
    expect(view.refuse(claims)).toBe('credential.revoked')
    await vi.waitFor(() => expect(view.refuse(toClaims(view.rev()))).toBeUndefined())
    const later = await follow(on)
    expect(later.find('all', '*')).toBeUndefined()
    for (const name of ['agent', 'host', 'approver', 'pep'] as const)
      await expect(on.control(name, 'resume')).rejects.toMatchObject({ reason: 'identity.key-role' })
  })

  it('goes on after a restart, and forgets nothing', async () => {
    const on = await stage({ store: 'sqlite', port: 0 })
    const port = Number(new URL(on.origin).port)
    const view = await follow(on)
    const claims = toClaims(view.rev())
    await on.control('operator', 'revoke', { dimension: 'subject', id: claims.sub })
    await on.restart(undefined, (config) => ({ ...config, listen: { ...config.listen, port } }))
    await on.control('operator', 'revoke', { dimension: 'tool', id: 'desk/other' })
    await vi.waitFor(() => expect(view.find('tool', 'desk/other')).toBeDefined(), { timeout: 10_000 })
    expect(view.find('subject', claims.sub)).toBeDefined()
    expect(view.fresh()).toBe(true)
    const later = await follow(on)
    expect(later.find('subject', claims.sub)).toBeDefined()
  })

  it('pushes what the store does not take, and says that it is stale', async () => {
    const on = await stage()
    const view = await follow(on)
    const claims = toClaims(view.rev())
    faults.commit = async (unit, real) => {
      if (Buffer.from(unit.entries?.[0]?.bytes ?? []).includes('"kind":"control"')) throw new UnavailableError('full')
      return real()
    }
    expect(await on.control('operator', 'revoke', { dimension: 'subject', id: claims.sub })).toMatchObject({
      recorded: false,
      silent: [],
    })
    expect(view.refuse(claims)).toBe('credential.revoked')
    await vi.waitFor(() => expect(view.refuse(toClaims(view.rev()))).toBe('system.stale-revocations'), 5_000)
    clearFaults()
    await vi.waitFor(() => expect(view.fresh()).toBe(true), { timeout: 10_000 })
  })

  it('is stale when somebody on the way says nothing any more, and the command names it', async () => {
    const on = await stage()
    const line = await startLine(Number(new URL(on.origin).port))
    const view = await follow(on, { url: line.url, staleMs: 1_500 })
    const claims = toClaims(view.rev())
    line.hold()
    const revoked = await on.control('operator', 'revoke', { dimension: 'subject', id: claims.sub, wait: 200 })
    expect(revoked).toMatchObject({ recorded: true, silent: ['pep'] })
    await vi.waitFor(() => expect(view.refuse(claims)).toBe('system.stale-revocations'), 10_000)
    line.release()
    await vi.waitFor(() => expect(view.refuse(claims)).toBe('credential.revoked'), 10_000)
    await vi.waitFor(() => expect(view.fresh()).toBe(true), 10_000)
    line.cut()
    await vi.waitFor(() => expect(view.problem()).toBeDefined(), 10_000)
    await vi.waitFor(() => expect(view.fresh()).toBe(true), 10_000)
  })

  it('is for keys of PEPs only, and ends with their key', async () => {
    const on = await stage()
    for (const name of ['agent', 'host', 'approver', 'operator'] as const) {
      const view = createRevocationView({ url: on.origin, issuer: ISSUER, key: on.keys[name] })
      closers.push(() => view.close())
      await vi.waitFor(() => expect(view.problem()).toMatch(/not.*role|key-role|role/))
      expect(view.fresh()).toBe(false)
    }
    const view = await follow(on)
    await on.control('operator', 'revoke', { dimension: 'actor', id: 'pep', wait: 100 })
    await vi.waitFor(() => expect(on.serving.composed.publisher.size()).toBe(0))
    expect(view.find('actor', on.keys.pep.jkt)).toBeDefined()
    await vi.waitFor(() => expect(view.fresh()).toBe(false), { timeout: 10_000 })
  })
})
