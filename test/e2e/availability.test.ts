/**
 * @module
 * What denies, what defers and what still works when something underneath does not: the table of
 * `docs/reference/availability.md` is made here, from real faults where there are any. `UPDATE_REFERENCE=1` writes it.
 *
 * - A disk that is full: the limit of the system on the size of files, on a server of its own (`prlimit`).
 * - A store that is locked: another connection to the same file holds the lock.
 * - A clock that jumped: the clock of this machine, for the server, the agent and the operator alike.
 * - An engine that is down, and a log writer that is stuck: `support/faults.ts`, because Cedar runs in the process.
 * - An upstream that is dead: its listener is closed.
 *
 * Broken once on purpose, and what fell:
 *
 * | broken on purpose                                                   | fell                                                   |
 * | ------------------------------------------------------------------- | ------------------------------------------------------ |
 * | `pdp/authenticate.ts` proofs of people are burned in the store      | revocation, with the store locked or another clock     |
 * | `pdp/patient-store.ts` waits for ever                               | every write, with the log writer stuck                 |
 * | `crypto/credential.ts` a stale feed says nothing of what it knows   | the canary of a revocation that could not be recorded  |
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { afterEach, describe, expect, it, vi } from 'vitest'

import { callControl, openTask, postSigned } from '../../src/client/index.ts'
import type { Json, JsonObject, Store } from '../../src/index.ts'
import { isJsonObject } from '../../src/index.ts'
import { signBytes, type KeyPair } from '../../src/crypto/keys.ts'
import { toApprovalMessage, type ApprovalRecord } from '../../src/server/approvals.ts'
import { fromRecord } from '../../src/core/records.ts'
import { connectAgent, type Agent, type Saw } from '../support/agent.ts'
import { clearFaults, faults } from '../support/faults.ts'
import { createInstallation, prepareInstallation, type Name } from '../support/installation.ts'
import { startRecordingUpstream } from '../support/recording-upstream.ts'
import { startServe } from '../support/serve-child.ts'

vi.mock('../../src/stores/sqlite.ts', async (importOriginal) => {
  const { toFaultyStore } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/stores/sqlite.ts')>()
  const createSqliteStore = async (options: Parameters<typeof real.createSqliteStore>[0]): Promise<Store> =>
    toFaultyStore(await real.createSqliteStore(options))
  return { ...real, createSqliteStore }
})
vi.mock('../../src/engines/cedar.ts', async (importOriginal) => {
  const { toFaultyEngine } = await import('../support/faults.ts')
  const real = await importOriginal<typeof import('../../src/engines/cedar.ts')>()
  return {
    ...real,
    createCedarEngine: async (options: Parameters<typeof real.createCedarEngine>[0]) =>
      toFaultyEngine(await real.createCedarEngine(options)),
  }
})

/** A server, what asks it, and one fault that can be turned on and off. */
interface Scene {
  readonly origin: string
  readonly keys: Readonly<Record<Name, KeyPair>>
  readonly upstreamCalls: () => number
  readonly on: () => Promise<void> | void
  readonly off: () => Promise<void> | void
}

const closers: (() => Promise<void> | void)[] = []
afterEach(async () => {
  clearFaults()
  vi.useRealTimers()
  for (const close of closers.splice(0).toReversed()) await close()
})

const TOOLS = join(import.meta.dirname, '..', 'support', 'recording-stdio.ts')
const PRLIMIT = '/usr/bin/prlimit'

async function inProcess(
  fault: (dir: string, upstream: { close(): Promise<void> }) => Pick<Scene, 'on' | 'off'>,
): Promise<Scene> {
  const upstream = await startRecordingUpstream()
  closers.push(async () => upstream.close().catch(() => undefined))
  const installation = await createInstallation({ upstream, store: 'sqlite', limits: 'disk: 400ms, reserveBytes: 0' })
  closers.push(async () => installation.close())
  const { origin, keys, dir } = installation
  return { origin, keys, upstreamCalls: () => upstream.calls.length, ...fault(dir, upstream) }
}

const FAULTS: readonly (readonly [string, () => Promise<Scene>])[] = [
  ['disk full', diskFull],
  ['store locked', async () => inProcess(lock)],
  ['clock a day ahead', async () => inProcess(() => jump(86_400_000))],
  ['clock a day back', async () => inProcess(() => jump(-86_400_000))],
  ['engine down', async () => inProcess(engineDown)],
  [
    'upstream dead',
    async () => inProcess((_dir, upstream) => ({ on: async () => upstream.close(), off: () => undefined })),
  ],
  ['log writer stuck', async () => inProcess(logStuck)],
]

/** A server of its own under a limit that holds for every file that it writes; `prlimit` sets and lifts it while it runs. */
async function diskFull(): Promise<Scene> {
  const record = join('state', 'calls.ndjson')
  const prepared = await prepareInstallation({
    upstream: { command: [process.execPath, TOOLS, record] },
    limits: 'disk: 400ms, reserveBytes: 0',
  })
  closers.push(() => prepared.remove())
  const server = await startServe(prepared.dir)
  closers.push(async () => server.kill())
  const limit = (bytes: string): void =>
    void execFileSync(PRLIMIT, ['--pid', String(server.pid), `--fsize=${bytes}:unlimited`])
  const file = join(prepared.dir, record)
  return {
    origin: server.origin,
    keys: prepared.keys,
    upstreamCalls: () => (existsSync(file) ? readFileSync(file, 'utf8').split('"name"').length - 1 : 0),
    on: () => limit('1'),
    off: () => limit('unlimited'),
  }
}

function lock(dir: string): Pick<Scene, 'on' | 'off'> {
  let other: DatabaseSync | undefined
  return {
    on() {
      other = new DatabaseSync(join(dir, 'state', 'unbearer.db'), { timeout: 2_000 })
      other.exec('BEGIN IMMEDIATE')
    },
    off() {
      other?.close()
      other = undefined
    },
  }
}

function jump(by: number): Pick<Scene, 'on' | 'off'> {
  return {
    on: () => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + by }),
    off: () => void vi.useRealTimers(),
  }
}

function engineDown(): Pick<Scene, 'on' | 'off'> {
  return {
    on: () => void (faults.evaluate = async () => Promise.reject(new Error('the engine is gone'))),
    off: clearFaults,
  }
}

/** Everything is applied, and the disk says nothing. */
function logStuck(): Pick<Scene, 'on' | 'off'> {
  const waiting: (() => void)[] = []
  return {
    on() {
      faults.commit = async (_unit, real) => {
        const result = await real()
        const stuck = new Promise<void>((resolve) => void waiting.push(resolve))
        return result.status === 'applied' ? { ...result, durable: stuck } : result
      }
    },
    off() {
      clearFaults()
      for (const wake of waiting.splice(0)) wake()
    },
  }
}

interface Actors {
  readonly agent: Agent
  /** An approval that waits. */
  readonly ticket: string
  readonly approval: ApprovalRecord
}

const control = async (scene: Scene, as: Name, method: string, params: JsonObject = {}): Promise<Json> =>
  callControl({ url: scene.origin, key: scene.keys[as], method, params })

async function prepareActors(scene: Scene): Promise<Actors> {
  const { txn } = await openTask({
    url: scene.origin,
    key: scene.keys.host,
    purpose: 'Read, update and delete record r1',
    principal: 'alice',
    actor: 'agent',
  })
  const agent = await connectAgent({ origin: scene.origin, key: scene.keys.agent, txn })
  closers.push(async () => agent.close().catch(() => undefined))
  expect(await agent.call('read_record', { id: 'r1' })).toMatchObject({ ok: true })
  const { ticket = '' } = await agent.call('delete_record', { id: 'r1' }, 'delete: the user asked to delete record r1')
  const shown = await control(scene, 'approver', 'approval.show', { id: ticket })
  const approval = fromRecord<ApprovalRecord>({ value: shown })
  if (approval === undefined) throw new Error('nothing waits')
  return { agent, ticket, approval }
}

const toCell = ({ ok, reason, decision }: Saw): string =>
  ok
    ? 'works'
    : `${decision === 'defer' ? 'deferred' : 'denied'}: ${reason === undefined ? 'no answer' : `\`${reason}\``}`

/** What somebody on the control plane is told. */
async function toControlCell(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (fault) {
    const reason = fault instanceof Error && 'reason' in fault ? ` \`${String(fault.reason)}\`` : ''
    return `not done, said so:${reason === '' ? ' unavailable' : reason}`
  }
}

const OPERATIONS: readonly (readonly [string, (scene: Scene, actors: Actors) => Promise<string>])[] = [
  ['read', async (_scene, { agent }) => toCell(await agent.call('read_record', { id: 'r1' }))],
  [
    'consequential write',
    async (_scene, { agent }) =>
      toCell(await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')),
  ],
  ['approval answer', async (scene, actors) => toControlCell(async () => answer(scene, actors))],
  ['session issue', async (scene) => toControlCell(async () => openSession(scene))],
  ['revocation', async (scene) => toControlCell(async () => revoke(scene))],
  ['health', async (scene) => health(scene)],
]

async function answer(scene: Scene, { ticket, approval }: Actors): Promise<string> {
  const signature = signBytes(scene.keys.approver, toApprovalMessage(approval, 'denied')).toString('base64url')
  await control(scene, 'approver', 'approval.answer', { id: ticket, verdict: 'denied', signature })
  return 'works'
}

async function openSession(scene: Scene): Promise<string> {
  await postSigned({ url: new URL('/session', scene.origin), key: scene.keys.agent, body: {} })
  return 'works'
}

/** In force is what counts; that it is also on the disk is told apart. */
async function revoke(scene: Scene): Promise<string> {
  const made = await control(scene, 'operator', 'revoke', { dimension: 'tool', id: 'desk/slow_read' })
  const { recorded, silent } = isJsonObject(made) ? made : {}
  expect(silent).toEqual([])
  return recorded === true ? 'works' : 'in force; recorded when it can be, until then everything is denied'
}

async function health({ origin }: Scene): Promise<string> {
  const [live, ready, metrics] = [
    await fetch(`${origin}/healthz`),
    await fetch(`${origin}/readyz`),
    await fetch(`${origin}/metrics`),
  ]
  expect([live.status, metrics.status]).toEqual([200, 200])
  expect(await metrics.text()).toContain('unbearer_revocation_feed_fresh')
  return ready.status === 200 ? 'alive, ready' : 'alive, not ready'
}

const PAGE = new URL('../../docs/reference/availability.md', import.meta.url)
const START = '<!-- matrix: made by test/e2e/availability.test.ts -->'
const END = '<!-- end of matrix -->'
const matrix = new Map<string, readonly string[]>()

const hasPrlimit = process.platform === 'linux' && existsSync(PRLIMIT)
if (!hasPrlimit) console.info('skipped: a full disk, because there is no prlimit here')

describe('when something underneath fails', () => {
  it.each(FAULTS)('%s', { timeout: 60_000 }, async (name, open) => {
    if (name === 'disk full' && !hasPrlimit) return
    const scene = await open()
    const actors = await prepareActors(scene)
    const before = scene.upstreamCalls()
    await scene.on()
    const cells: string[] = []
    for (const [, run] of OPERATIONS) cells.push(await run(scene, actors))
    const during = scene.upstreamCalls()
    await scene.off()
    matrix.set(name, cells)

    // Whatever was refused did not happen, and what was revoked is, once somebody can ask again.
    const worked = cells.slice(0, 2).filter((cell) => cell === 'works').length
    expect(during - before).toBe(worked)
    expect(cells[4]).toMatch(/^(?:works|in force)/)
    if (name === 'upstream dead') return
    await vi.waitFor(
      async () => {
        const saw = await actors.agent.call('slow_read', { id: 'r1' })
        expect(name === 'clock a day ahead' ? 'identity.revoked' : saw.reason).toBe('identity.revoked')
        expect(saw.ok).toBe(false)
      },
      { timeout: 20_000, interval: 300 },
    )
    const status = await control(scene, 'operator', 'status')
    expect(status).toMatchObject({ fresh: true, unrecordedRevocations: 0 })
    expect(await control(scene, 'operator', 'revocation.list')).toMatchObject([{ dimension: 'tool' }])
  })
})

const toLine = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`

function toTable(): string {
  const heads = ['', ...OPERATIONS.map(([name]) => name)]
  const rows = [...matrix].map(([name, cells]) => [`**${name}**`, ...cells])
  return [toLine(heads), toLine(heads.map(() => '---')), ...rows.map(toLine)].join('\n')
}

describe('the page', () => {
  it.skipIf(!hasPrlimit)('has the table that was seen', () => {
    expect([...matrix.keys()]).toEqual(FAULTS.map(([name]) => name))
    const page = readFileSync(PAGE, 'utf8')
    const made = `${page.slice(0, page.indexOf(START) + START.length)}\n\n${toTable()}\n\n${page.slice(page.indexOf(END))}`
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(PAGE, made)
    expect(readFileSync(PAGE, 'utf8')).toBe(made)
  })
})
