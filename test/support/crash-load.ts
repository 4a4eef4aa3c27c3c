/**
 * @module
 * A served installation under load until it dies, and what has to be true of it afterwards: what was acknowledged is there,
 * what was done was permitted, and what nobody knows of is held.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

import { expect } from 'vitest'

import { callControl } from '../../src/client/index.ts'
import { openForReading, type Reading } from '../../src/config/reading.ts'
import type { DecisionEntry, LogEntry } from '../../src/core/entry.ts'
import { REVOCATION_PREFIX } from '../../src/core/records.ts'
import { signBytes } from '../../src/crypto/keys.ts'
import { isJsonObject, parseJson, type Json, type JsonObject } from '../../src/index.ts'
import { toApprovalMessage } from '../../src/server/approvals.ts'
import { verifyStore } from '../../src/server/audit.ts'
import { createJournal, journalPath } from '../../src/server/journal.ts'
import { toKeyBytes } from '../../src/stores/key-bytes.ts'
import { connectAgent, type Agent, type Saw } from './agent.ts'
import { prepareInstallation, toEntries, type Name, type Prepared } from './installation.ts'
import type { Random } from './random.ts'
import type { ServeChild } from './serve-child.ts'

const TOOLS = join(import.meta.dirname, 'recording-stdio.ts')
const LANES = 3
/** Names in the purpose of a task; an agent that needs more is not killed in time. */
const IDS = 400

/** What a client was told, and may rely on. */
interface Acknowledged {
  /** Ids of what was written or deleted with success. */
  readonly done: string[]
  /** Ids of entries of refusals. */
  readonly entries: string[]
  /** `dimension/id` */
  readonly revocations: string[]
  readonly approved: string[]
}

/** An action that was not answered when the server died. */
interface Hanging {
  readonly txn: string
  readonly tool: 'write_record' | 'slow_write'
  readonly id: string
}

export interface CrashTrial {
  readonly prepared: Prepared
  readonly acknowledged: Acknowledged
  readonly hanging: Hanging[]
  readonly random: Random
  /** How often the tool was called, by the name of the tool and the id. */
  executions(): ReadonlyMap<string, number>
  round: number
}

/** The calls of the tool lie where no disk of ours loses them: what was done in the world stays done. */
export async function createCrashTrial(random: Random): Promise<CrashTrial> {
  const command = [process.execPath, TOOLS, 'calls.ndjson']
  const prepared = await prepareInstallation({
    upstream: { command },
    limits: 'approvalsPerTask: 100, approvalsPerActor: 10000, asksPerTask: 1000',
  })
  return {
    prepared,
    acknowledged: { done: [], entries: [], revocations: [], approved: [] },
    hanging: [],
    random,
    executions: () => countCalls(join(prepared.dir, 'calls.ndjson')),
    round: 0,
  }
}

function countCalls(file: string): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  const text = existsSync(file) ? readFileSync(file, 'utf8') : ''
  // The last line may be cut off by the death of the tool server.
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    const call = line === '' ? {} : parseJson(line)
    if (!isJsonObject(call) || typeof call['name'] !== 'string') continue
    const key = toCallKey(call['name'], call['arguments'])
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}

function toCallKey(name: string, given: Json | undefined): string {
  const id = isJsonObject(given) ? given['id'] : ''
  return `${name} ${typeof id === 'string' ? id : ''}`
}

const control = async (trial: CrashTrial, origin: string, as: Name, method: string, params: JsonObject) => {
  const answer = await callControl({ url: origin, key: trial.prepared.keys[as], method, params })
  return isJsonObject(answer) ? answer : {}
}

interface Lane {
  readonly agent: Agent
  readonly txn: string
  readonly prefix: string
  used: number
}

async function openLane(trial: CrashTrial, origin: string, lane: number): Promise<Lane> {
  const prefix = `r${trial.round}x${lane}x`
  const names = Array.from({ length: IDS }, (_, index) => `${prefix}${index}`)
  const params = { purpose: `Update and delete the records ${names.join(' ')}`, principal: 'alice', actor: 'agent' }
  const { txn } = await control(trial, origin, 'host', 'task.open', params)
  const agent = await connectAgent({ origin, key: trial.prepared.keys.agent, txn: toText(txn) })
  return { agent, txn: toText(txn), prefix, used: 0 }
}

/**
 * Loads the server, and kills it after some acknowledgements. Whatever fails because the server is gone is not acknowledged;
 * whatever fails before that fails the trial.
 */
export async function driveAndKill(trial: CrashTrial, server: ServeChild): Promise<void> {
  trial.round += 1
  const lanes = await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => openLane(trial, server.origin, lane)),
  )
  const wanted = toCount(trial) + 3 + trial.random.below(40)
  const state = { dying: false }
  const running = lanes.map(async (lane) => {
    // Never answered: in the middle of it when the server dies.
    trial.hanging.push({ txn: lane.txn, tool: 'slow_write', id: `${lane.prefix}0` })
    const endless = lane.agent.call('slow_write', { id: `${lane.prefix}0` }, `write: update record ${lane.prefix}0`)
    endless.catch(() => undefined)
    lane.used = 1
    while (!state.dying && lane.used < IDS) {
      try {
        await step(trial, server.origin, lane)
      } catch (fault) {
        if (!state.dying) throw fault
      }
    }
  })
  const failed = Promise.race(running.map(async (lane) => lane.catch((fault: unknown) => fault)))
  while (toCount(trial) < wanted) {
    const fault = await Promise.race([failed, pause(2)])
    if (fault instanceof Error) throw fault
  }
  await pause(trial.random.below(15))
  state.dying = true
  await server.kill()
  await Promise.allSettled(running)
  for (const { agent } of lanes) await agent.close().catch(() => undefined)
}

const toCount = ({ acknowledged: { done, entries, revocations, approved } }: CrashTrial): number =>
  done.length + entries.length + revocations.length + approved.length

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
}

async function step(trial: CrashTrial, origin: string, lane: Lane): Promise<void> {
  const id = `${lane.prefix}${lane.used}`
  lane.used += 1
  const kind = trial.random.below(20)
  if (kind < 12) return write(trial, lane, id)
  if (kind < 15) return void (await lane.agent.call('read_record', { id }, `read: look at record ${id}`))
  if (kind < 18) return remove(trial, origin, lane, id)
  const tool = `desk/tool-${id}`
  const { recorded } = await control(trial, origin, 'operator', 'revoke', { dimension: 'tool', id: tool })
  if (recorded === true) trial.acknowledged.revocations.push(`tool/${tool}`)
}

async function write(trial: CrashTrial, lane: Lane, id: string): Promise<void> {
  const hanging: Hanging = { txn: lane.txn, tool: 'write_record', id }
  trial.hanging.push(hanging)
  const saw = await lane.agent.call('write_record', { id, text: 'x' }, `write: update record ${id}`)
  if (!isAnswered(saw)) return
  trial.hanging.splice(trial.hanging.indexOf(hanging), 1)
  noteAnswer(trial, `write_record ${id}`, saw)
}

/** True for an answer of the server, and not for its death. */
function isAnswered({ ok, entry }: Saw): boolean {
  return ok || entry !== undefined
}

function noteAnswer({ acknowledged }: CrashTrial, key: string, { ok, entry }: Saw): void {
  if (ok) acknowledged.done.push(key)
  else if (entry !== undefined) acknowledged.entries.push(entry)
}

/** A deletion is held, approved and then done: once. */
async function remove(trial: CrashTrial, origin: string, { agent }: Lane, id: string): Promise<void> {
  const call = async (): Promise<Saw> => agent.call('delete_record', { id }, `delete: delete record ${id}`)
  const held = await call()
  noteAnswer(trial, `delete_record ${id}`, held)
  if (held.ticket === undefined) return
  const shown = await control(trial, origin, 'approver', 'approval.show', { id: held.ticket })
  const subject = { id: held.ticket, bind: toText(shown['bind']) }
  const signature = signBytes(trial.prepared.keys.approver, toApprovalMessage(subject, 'approved')).toString(
    'base64url',
  )
  const params = { id: held.ticket, verdict: 'approved', signature }
  await control(trial, origin, 'approver', 'approval.answer', params)
  trial.acknowledged.approved.push(held.ticket)
  // Both at once: one of them is done.
  for (const saw of await Promise.all([call(), call()])) noteAnswer(trial, `delete_record ${id}`, saw)
}

/** What must be true of the disk, with nobody serving. */
export async function judgeDisk(trial: CrashTrial): Promise<void> {
  const reading = await openForReading(trial.prepared.config)
  try {
    const { store, vkey, head } = reading
    const report = await verifyStore(store, { vkey, ...(head === undefined ? {} : { head }) })
    expect(report).toMatchObject({ ok: true, problems: [] })
    const entries = toEntries(await store.log.entries(0, await store.log.size()))
    const permits = await readPermits(reading, entries)
    judgeAcknowledged(trial, entries, permits)
    await judgeRecords(trial, reading)
    judgeExecutions(trial, permits)
    judgeBurns(trial, permits)
  } finally {
    await reading.close()
  }
}

interface Permit {
  readonly entry: DecisionEntry
  /** Name of the tool and id. */
  readonly call: string
}

async function readPermits({ store }: Reading, entries: readonly LogEntry[]): Promise<readonly Permit[]> {
  const permits: Permit[] = []
  for (const entry of entries) {
    if (entry.kind !== 'decision' || entry.decision !== 'permit') continue
    const bytes = await store.evidence(entry.id)
    const opened = bytes === undefined ? {} : parseJson(bytes, { numbers: 'any', maxDepth: 512 })
    const body = at(at(at(at(opened, 'values'), 'request'), 'action'), 'body')
    permits.push({ entry, call: toCallKey(toText(at(body, 'name')), at(body, 'arguments')) })
  }
  return permits
}

function judgeAcknowledged(
  { acknowledged }: CrashTrial,
  entries: readonly LogEntry[],
  permits: readonly Permit[],
): void {
  const ids = new Set(entries.map(({ id }) => id))
  expect(acknowledged.entries.filter((id) => !ids.has(id))).toEqual([])
  const settled = new Set(
    entries.flatMap((entry) => (entry.kind === 'outcome' && entry.outcome === 'done' ? [entry.of] : [])),
  )
  const done = new Set(permits.flatMap(({ entry, call }) => (settled.has(entry.id) ? [call] : [])))
  expect(acknowledged.done.filter((call) => !done.has(call))).toEqual([])
}

async function judgeRecords({ acknowledged, prepared }: CrashTrial, { store }: Reading): Promise<void> {
  const outside = createJournal(journalPath(prepared.config.audit.head)).lines()
  const kept = new Set(outside.map(({ dimension, id }) => `${dimension}/${id}`))
  expect(acknowledged.revocations.filter((each) => !kept.has(each))).toEqual([])
  const found = new Set<string>()
  for (let after: string | undefined; ;) {
    const page = await store.list(REVOCATION_PREFIX, after === undefined ? {} : { after })
    for (const { value } of page) found.add(`${toText(at(value, 'dimension'))}/${toText(at(value, 'id'))}`)
    after = page.at(-1)?.key
    if (after === undefined) break
  }
  expect(acknowledged.revocations.filter((each) => !found.has(each))).toEqual([])
  for (const ticket of acknowledged.approved) {
    const [record] = await store.get([`approval/${ticket}`])
    expect(['approved', 'consumed']).toContain(at(record?.value, 'status'))
  }
}

/** Never more often done than permitted; a deletion, which needs an approval of its own, never twice. */
function judgeExecutions(trial: CrashTrial, permits: readonly Permit[]): void {
  const permitted = new Map<string, number>()
  for (const { call } of permits) permitted.set(call, (permitted.get(call) ?? 0) + 1)
  const executions = trial.executions()
  const beyond = [...executions].filter(([call, times]) => times > (permitted.get(call) ?? 0))
  expect(beyond).toEqual([])
  expect([...executions, ...permitted].filter(([call, times]) => call.startsWith('delete_') && times > 1)).toEqual([])
}

/** One number for each permit, and each of them burned: nobody can redeem it again. */
function judgeBurns({ prepared }: CrashTrial, permits: readonly Permit[]): void {
  const jtis = permits.flatMap(({ entry }) => entry.jti ?? [])
  expect(new Set(jtis).size).toBe(jtis.length)
  const db = new DatabaseSync(join(prepared.dir, 'state', 'unbearer.db'), { readOnly: true })
  try {
    const find = db.prepare('SELECT 1 FROM burn WHERE domain = ? AND id = ?')
    const missing = jtis.filter((jti) => find.get(toKeyBytes('jti'), toKeyBytes(jti)) === undefined)
    expect(missing).toEqual([])
  } finally {
    db.close()
  }
}

/** Retries what was not answered: what was begun and has no outcome is held, and nothing of it is done again. */
export async function judgeHanging(trial: CrashTrial, { origin }: ServeChild): Promise<void> {
  const reading = await openForReading(trial.prepared.config)
  const entries = toEntries(await reading.store.log.entries(0, await reading.store.log.size()))
  const permits = await readPermits(reading, entries)
  await reading.close()
  const settled = new Set(entries.flatMap((entry) => (entry.kind === 'outcome' ? [entry.of] : [])))
  const begun = new Set(permits.flatMap(({ entry, call }) => (settled.has(entry.id) ? [] : [call])))
  const half = trial.hanging.splice(0).filter(({ tool, id }) => begun.has(`${tool} ${id}`))
  for (const txn of new Set(half.map((each) => each.txn))) {
    const agent = await connectAgent({ origin, key: trial.prepared.keys.agent, txn })
    for (const { tool, id } of half.filter((each) => each.txn === txn)) {
      const before = trial.executions().get(`${tool} ${id}`) ?? 0
      const given = tool === 'slow_write' ? { id } : { id, text: 'x' }
      const saw = await agent.call(tool, given, `write: update record ${id}`)
      expect(saw).toMatchObject({ decision: 'challenge', reason: 'system.outcome-unknown' })
      expect(trial.executions().get(`${tool} ${id}`) ?? 0).toBe(before)
    }
    await agent.close()
  }
}

function at(value: Json | undefined, member: string): Json | undefined {
  return isJsonObject(value) ? value[member] : undefined
}

function toText(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
