/**
 * @module
 * Invariant 9 (nothing secret leaves): `serve` as a process of its own, with a canary in everything that is secret, and
 * every place read afterwards where none of them may stand.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                         | fell                                         |
 * | --------------------------------------------------------- | -------------------------------------------- |
 * | `pdp/log-entries.ts` the salt is constant                 | commits to equal values with different salts |
 * | `pdp/commit.ts` the stated intent stands in the entry     | in no leaf of the log                        |
 * | `mcp/message.ts` a malformed body comes back in the error | in no error that anybody is told             |
 * | `pdp/enforcer.ts` the tool is a label of the metric       | in no metric                                 |
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { callControl, openTask } from '../../src/client/index.ts'
import { openForReading, type Reading } from '../../src/config/reading.ts'
import { commitmentOf } from '../../src/core/bind.ts'
import type { DecisionEntry, LogEntry } from '../../src/core/entry.ts'
import { isJsonObject, parseJson, type JsonObject } from '../../src/index.ts'
import { connectAgent, openRaw, toCall, type Agent, type Sent } from '../support/agent.ts'
import { prepareInstallation, toEntries, UPSTREAM_SECRET, type Prepared } from '../support/installation.ts'
import { startServe, type ServeChild } from '../support/serve-child.ts'
import { ROW_CANARY } from '../support/tools.ts'

const CANARIES = {
  argument: 'argument-canary-11a',
  intent: 'intent-canary-22b',
  purpose: 'purpose-canary-33c',
  principal: 'principal-canary-44d',
  malformed: 'malformed-canary-55e',
  tool: 'tool-canary-66f',
  row: ROW_CANARY,
  upstream: UPSTREAM_SECRET,
} as const

let prepared: Prepared
let server: ServeChild
let agent: Agent
let reading: Reading
let entries: readonly LogEntry[]
/** What was answered to requests that went wrong. */
const answers: string[] = []
let metrics: string
let session: string

beforeAll(async () => {
  const command = [process.execPath, join(import.meta.dirname, '..', 'support', 'recording-stdio.ts'), './state/calls']
  prepared = await prepareInstallation({ upstream: { command }, grant: { principal: CANARIES.principal } })
  server = await startServe(prepared.dir)
  const { txn } = await openTask({
    url: server.origin,
    key: prepared.keys.host,
    purpose: `Update record r1, ${CANARIES.purpose}`,
    principal: CANARIES.principal,
    actor: 'agent',
  })
  agent = await connectAgent({ origin: server.origin, key: prepared.keys.agent, txn })
  await misbehave(txn)
  metrics = await (await fetch(`${server.origin}/metrics`)).text()
  await agent.close()
  await server.stop()
  reading = await openForReading(prepared.config)
  entries = toEntries(await reading.store.log.entries(0, await reading.store.log.size()))
})

afterAll(async () => {
  await reading.close()
  prepared.remove()
})

const INTENT = `write: update record r1 ${CANARIES.intent}`

/** Everything that goes right and wrong, with a canary wherever one fits. */
async function misbehave(txn: string): Promise<void> {
  const given = { id: 'r1', text: CANARIES.argument }
  await agent.call('write_record', given, INTENT)
  await agent.call('write_record', given, INTENT)
  await agent.call('read_record', { id: 'r1' }, `read: record r1 ${CANARIES.intent}`)
  const wire: Sent[] = []
  const raw = await openRaw({ origin: server.origin, key: prepared.keys.agent, txn, wire })
  const bodies = [
    toCall(1, CANARIES.tool, given, INTENT),
    toCall(2, 'delete_record', { id: CANARIES.argument }, INTENT),
    toCall(3, 'write_record', given, `read: ${CANARIES.intent}`),
    toCall(4, 'write_record', { text: { __entity: { id: CANARIES.argument } } }, INTENT),
    toCall(5, 'send', { to: `${CANARIES.argument}@example.org`, body: CANARIES.argument }, INTENT),
    toCall(6, 'write_record', given, INTENT).slice(0, -1),
    `{"jsonrpc":"2.0","id":7,"method":"${CANARIES.malformed}"}`,
    `{"${CANARIES.malformed}":1,"${CANARIES.malformed}":2}`,
    `"${CANARIES.malformed}`,
  ]
  for (const body of bodies) answers.push((await raw.post(body)).text)
  session = wire.flatMap(({ headers }) => headers['authorization'] ?? []).at(-1) ?? ''
  answers.push(
    await (await fetch(`${server.origin}/mcp/desk?${CANARIES.malformed}`, { method: 'POST', body: '{' })).text(),
  )
  answers.push(
    await (await fetch(`${server.origin}/session`, { method: 'POST', headers: { authorization: session } })).text(),
  )
  await expect(
    callControl({
      url: server.origin,
      key: prepared.keys.host,
      method: 'task.open',
      params: { purpose: `${CANARIES.purpose}\0`, principal: CANARIES.principal, actor: 'nobody' },
    }),
  ).rejects.toThrow('nobody')
}

/** Names of the canaries in a text; `but` lists those that may stand there. */
function found(text: string, but: readonly (keyof typeof CANARIES)[] = []): readonly string[] {
  const secrets = { ...CANARIES, session, ...toPrivateParts() }
  return Object.entries(secrets).flatMap(([name, canary]) =>
    text.includes(canary) && !but.some((each) => each === name) ? [name] : [],
  )
}

function toPrivateParts(): Record<string, string> {
  const own = ['issuer', 'log'].map((name): [string, string] => {
    const jwk = parseJson(readFileSync(join(prepared.dir, 'keys', `${name}.jwk`)))
    return [name, isJsonObject(jwk) && typeof jwk['d'] === 'string' ? jwk['d'] : '']
  })
  return Object.fromEntries([...own, ...Object.entries(prepared.jwks).map(([name, { d }]) => [name, d] as const)])
}

function isDecision(entry: LogEntry): entry is DecisionEntry {
  return entry.kind === 'decision'
}

async function open(id: string): Promise<{ readonly salts: JsonObject; readonly values: JsonObject }> {
  const bytes = await reading.store.evidence(id)
  const opened = parseJson(bytes ?? '{}', { numbers: 'any' })
  if (!isJsonObject(opened) || !isJsonObject(opened['salts']) || !isJsonObject(opened['values']))
    throw new Error('no evidence')
  return { salts: opened['salts'], values: opened['values'] }
}

describe('invariant 9: nothing secret leaves', () => {
  it('had something to leak', async () => {
    const all = await Promise.all(entries.map(async ({ id }) => JSON.stringify(await open(id))))
    expect(found(all.join('\n')).toSorted()).toEqual(
      expect.arrayContaining(['argument', 'intent', 'principal', 'purpose', 'row', 'tool']),
    )
    expect(session).toMatch(/^Unbearer ey/)
  })

  it('in no leaf of the log', () => {
    expect(entries.length).toBeGreaterThan(10)
    expect(found(JSON.stringify(entries))).toEqual([])
  })

  it('in no line for the operator', () => {
    expect(found(server.said())).toEqual([])
  })

  it('in no metric', () => {
    expect(metrics).toContain('unbearer_decisions_total')
    expect(found(metrics)).toEqual([])
  })

  it('in no error that anybody is told', () => {
    expect(answers).toHaveLength(11)
    expect(found(answers.join('\n'))).toEqual([])
  })

  it('in no head of the log', () => {
    expect(found(readFileSync(join(prepared.dir, 'head', 'unbearer.head'), 'utf8'))).toEqual([])
  })

  it('no key, proof or credential even in the evidence', async () => {
    const all = await Promise.all(entries.map(async ({ id }) => JSON.stringify(await open(id))))
    const names = found(all.join('\n'), ['argument', 'intent', 'principal', 'purpose', 'row', 'tool', 'malformed'])
    expect(names).toEqual([])
  })

  it('commits to equal values with different salts', async () => {
    const [first, second] = entries.filter(isDecision).filter(({ decision }) => decision === 'permit')
    if (first === undefined || second === undefined) throw new Error('two writes were permitted')
    const opened = await Promise.all([open(first.id), open(second.id)])
    const bodies = opened.map(({ values }) => JSON.stringify(values['verdicts']))
    expect(bodies[0]).toBe(bodies[1])
    expect(first.commitments.verdicts).not.toBe(second.commitments.verdicts)
  })

  it('and every commitment opens with its salt', async () => {
    for (const entry of entries) {
      const { salts, values } = await open(entry.id)
      for (const [name, commitment] of Object.entries(entry.commitments)) {
        const [salt, value] = [salts[name], values[name]]
        if (typeof salt !== 'string' || value === undefined) throw new Error(`\`${name}\` does not open`)
        expect(Buffer.from(salt, 'base64url')).toHaveLength(16)
        expect(commitmentOf(value, Buffer.from(salt, 'base64url'))).toBe(commitment)
      }
    }
  })
})
