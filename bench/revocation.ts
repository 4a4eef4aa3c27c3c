/**
 * @module
 * How long a revocation takes: from the call to the first refusal, here and at a PEP in another process, until every PEP has
 * refused the canary, and until what is in flight is aborted. Under load, over a real server with its store on the disk. States
 * figures and asserts none, but fails when something that was revoked is not refused.
 */
import { loadavg } from 'node:os'
import { parseArgs } from 'node:util'

import { callControl, createRevocationView, openTask } from '../src/client/index.ts'
import { UnavailableError } from '../src/index.ts'
import { openRaw, toCall, type RawSession } from '../test/support/agent.ts'
import { ISSUER, prepareInstallation, type Prepared } from '../test/support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../test/support/recording-upstream.ts'
import { startServe } from '../test/support/serve-child.ts'
import { toMachine } from './report.ts'

interface Bench {
  readonly origin: string
  readonly prepared: Prepared
  readonly upstream: RecordingUpstream
}

/** What one trial took, in milliseconds from the call. */
type Trial = Readonly<Record<string, number>>

const PURPOSE = 'Update record r1'
const WRITE = 'write: update record r1'

const { values } = parseArgs({
  options: {
    trials: { type: 'string', default: '1000' },
    flights: { type: 'string', default: '200' },
    connections: { type: 'string', default: '8' },
    json: { type: 'boolean', default: false },
  },
})

async function openAgent(
  { origin, prepared }: Bench,
  actor: 'agent' | 'other',
): Promise<{ txn: string; raw: RawSession }> {
  const { txn } = await openTask({ url: origin, key: prepared.keys.host, purpose: PURPOSE, principal: 'alice', actor })
  return { txn, raw: await openRaw({ origin, key: prepared.keys[actor], txn }) }
}

/** Closed loops of reads beside the trials. Returns the way to end them, which says how many were answered. */
async function startLoad(bench: Bench, connections: number): Promise<() => Promise<number>> {
  const end = new AbortController()
  let answered = 0
  const agents = await Promise.all(Array.from({ length: connections }, async () => openAgent(bench, 'agent')))
  const loops = agents.map(async ({ raw }) => {
    for (let id = 0; !end.signal.aborted; id += 1) {
      const { reason } = await raw.post(toCall(id, 'read_record', { id: 'r1' }))
      if (reason !== undefined) throw new UnavailableError(`the load was refused: \`${reason}\``)
      answered += 1
    }
  })
  // One that was refused is told at the end.
  for (const loop of loops) loop.catch(() => undefined)
  return async () => {
    end.abort()
    await Promise.all(loops)
    return answered
  }
}

/** One agent calls without a pause; its task is revoked meanwhile. */
async function revokeTask(bench: Bench, told: Map<string, () => void>): Promise<Trial> {
  const { txn, raw } = await openAgent(bench, 'other')
  const begun = Promise.withResolvers<string | undefined>()
  const refused = (async (): Promise<number> => {
    for (let id = 0; id < 10_000; id += 1) {
      const { status, text, reason } = await raw.post(toCall(id, 'read_record', { id: 'r1' }))
      begun.resolve(reason)
      if (reason === 'identity.revoked' || reason === 'credential.revoked') return performance.now()
      if (reason !== undefined || status !== 200) throw new UnavailableError(`told ${status}: ${text.slice(0, 200)}`)
    }
    throw new UnavailableError('a task that was revoked is not refused')
  })()
  refused.catch((fault: unknown) => begun.reject(fault))
  if ((await begun.promise) !== undefined) throw new UnavailableError('refused before anything was revoked')
  const elsewhere = new Promise<number>((resolve) => told.set(txn, () => resolve(performance.now())))
  const asked = performance.now()
  await revoke(bench, txn)
  const returned = performance.now()
  return {
    'first refusal at the gateway': (await refused) - asked,
    'first refusal at a PEP elsewhere': (await elsewhere) - asked,
    'the command returns, every PEP has refused the canary': returned - asked,
  }
}

async function revoke({ origin, prepared }: Bench, txn: string): Promise<void> {
  const key = prepared.keys.operator
  const result = await callControl({ url: origin, key, method: 'revoke', params: { dimension: 'task', id: txn } })
  const text = JSON.stringify(result)
  if (!text.includes('"silent":[]') || !text.includes('"pep"'))
    throw new UnavailableError(`not everybody refused: ${text}`)
}

/** An action waits in the tool server while its task is revoked. */
async function abortFlight(bench: Bench): Promise<Trial> {
  const { txn, raw } = await openAgent(bench, 'other')
  const { upstream } = bench
  const [calls, notified] = [upstream.calls.length, upstream.notifications.length]
  const answered = raw.post(toCall('slow', 'slow_write', { id: 'r1' }, WRITE)).then(({ status, text, reason }) => {
    if (reason !== 'credential.revoked')
      throw new UnavailableError(`in flight, and told ${status}: ${text.slice(0, 300)}`)
    return performance.now()
  })
  await waitUntil(() => upstream.calls.slice(calls).some(({ name }) => name === 'slow_write'))
  const asked = performance.now()
  const cancelled = waitUntil(() => upstream.notifications.slice(notified).includes('notifications/cancelled'))
  const [told, stopped] = await Promise.all([answered, cancelled, revoke(bench, txn)])
  return { 'in flight: the agent is told': told - asked, 'in flight: the tool server is told': stopped - asked }
}

async function waitUntil(isSo: () => boolean): Promise<number> {
  const started = performance.now()
  while (performance.now() - started < 20_000) {
    if (isSo()) return performance.now()
    await new Promise((resolve) => setImmediate(resolve))
  }
  throw new UnavailableError('what was waited for did not happen')
}

async function repeat(count: number, trial: () => Promise<Trial>): Promise<readonly Trial[]> {
  const trials: Trial[] = []
  for (let done = 0; done < count; done += 1) trials.push(await trial())
  return trials
}

interface Row {
  readonly what: string
  readonly trials: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

function toRows(trials: readonly Trial[]): readonly Row[] {
  return Object.keys(trials[0] ?? {}).map((what) => {
    const sorted = trials.map((trial) => trial[what] ?? Number.NaN).toSorted((a, b) => a - b)
    const at = (share: number): number =>
      Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(2))
    return { what, trials: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
  })
}

async function measure(bench: Bench): Promise<object> {
  const { origin, prepared } = bench
  const view = createRevocationView({ url: origin, issuer: ISSUER, key: prepared.keys.pep })
  const told = new Map<string, () => void>()
  view.subscribe(({ id }) => told.get(id)?.())
  try {
    await view.ready()
    await repeat(20, async () => revokeTask(bench, told))
    const endLoad = await startLoad(bench, Number(values.connections))
    const started = performance.now()
    const revoked = toRows(await repeat(Number(values.trials), async () => revokeTask(bench, told)))
    const flown = toRows(await repeat(Number(values.flights), async () => abortFlight(bench)))
    const seconds = (performance.now() - started) / 1000
    const answered = await endLoad()
    return {
      machine: toMachine(),
      node: process.version,
      date: new Date().toISOString(),
      load: {
        connections: Number(values.connections),
        rps: Math.round(answered / seconds),
        // Of the whole machine: whatever else runs is in the figures.
        average: loadavg()[0]?.toFixed(1) ?? '?',
      },
      rows: [...revoked, ...flown],
    }
  } finally {
    view.close()
  }
}

const upstream = await startRecordingUpstream()
const prepared = await prepareInstallation({
  upstream: { url: upstream.url },
  limits: 'decisionsPerMinute: 1000000, underWayPerActor: 1000',
  yaml: 'anomaly: { falsePositivesPerTask: 0.000000001 }\n',
  grant: { actor: 'agent' },
})
const server = await startServe(prepared.dir)
try {
  await callControl({
    url: server.origin,
    key: prepared.keys.operator,
    method: 'grant.create',
    params: {
      grant: {
        principal: 'alice',
        actor: 'other',
        expires: '1d',
        operations: [{ tool: 'desk/*', effects: ['read', 'write'] }],
      },
    },
  })
  const report = await measure({ origin: server.origin, prepared, upstream })
  process.stdout.write(`${JSON.stringify(report, undefined, values.json ? 0 : 2)}\n`)
} finally {
  await server.kill()
  await upstream.close()
  prepared.remove()
}
