/**
 * @module
 * The way back from a wrong refusal on a real installation: refused, explained, recorded as wrong, mended as `why` said, and
 * `policy test` goes from fail to pass; by a grant, a manifest and a policy. And the report counts it.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                              | fell                             |
 * | -------------------------------------------------------------- | -------------------------------- |
 * | `pdp/case-test.ts` takes the recorded verdict                  | mended by a policy               |
 * | `pdp/case-test.ts` keeps the recorded label of a source        | mended by a label of a manifest  |
 * | `server/cases.ts` the case is evidence of `system`             | is erased with its principal     |
 * | `server/cases.ts` a signature over another note is taken       | takes no case that is not signed |
 * | `server/report.ts` an approved action counts as without person | counts what happened             |
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { acceptManifest, parseManifest, toManifestYaml } from '../../src/config/manifest.ts'
import { toCaseMessage, type CaseClaim } from '../../src/core/case.ts'
import { caseRecord } from '../../src/core/records.ts'
import { signBytes } from '../../src/crypto/keys.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { connectAgent, type Agent } from '../support/agent.ts'
import { createInstallation, type Installation, type Name } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { unbearer, type Ran } from '../support/run-cli.ts'

let upstream: RecordingUpstream
let installation: Installation
const agents: Agent[] = []

beforeAll(async () => {
  upstream = await startRecordingUpstream()
  installation = await createInstallation({
    upstream,
    store: 'sqlite',
    grant: {
      operations: [
        { tool: 'desk/*', effects: ['read'] },
        { tool: 'desk/write_record', effects: ['write'], where: { id: { in: ['r1'] } } },
        { tool: 'desk/send', effects: ['send'] },
        { tool: 'desk/delete_record', effects: ['delete'] },
      ],
    },
  })
  const file = join(installation.dir, 'keys', 'operator.jwk')
  writeFileSync(file, JSON.stringify(installation.jwks.operator), { mode: 0o600 })
})

afterAll(async () => {
  await Promise.all(agents.map(async (agent) => agent.close()))
  await installation.close()
  await upstream.close()
})

async function work(purpose: string): Promise<Agent> {
  const { txn } = await installation.openTask(purpose)
  const agent = await connectAgent({ origin: installation.origin, key: installation.keys.agent, txn })
  agents.push(agent)
  return agent
}

/** The command line at the running server. */
async function run(...args: readonly string[]): Promise<Ran & { readonly json: JsonObject }> {
  const isLocal = args[0] === 'policy' || args[0] === 'report'
  const server = isLocal && !args.includes('--cases') ? [] : ['--server', installation.origin]
  const ran = await unbearer(...args, '--config', join(installation.dir, 'unbearer.yaml'), ...server)
  return { ...ran, json: toObject(ran.out.startsWith('{') ? JSON.parse(ran.out) : null) }
}

function toObject(value: Json): JsonObject {
  return isJsonObject(value) ? value : {}
}

/** A folder with the one case of this entry. */
async function exported(entry: string | undefined, ...args: readonly string[]): Promise<string> {
  const dir = join(installation.dir, `cases-${entry ?? ''}`)
  mkdirSync(dir)
  const ran = await run(
    'wrong',
    entry ?? '',
    '--note',
    'the customer asked for it',
    '--export',
    join(dir, 'case.json'),
    ...args,
  )
  expect([ran.exit, ran.err]).toEqual([0, ''])
  return dir
}

async function outcomeOf(dir: string, ...args: readonly string[]): Promise<readonly [number | null, Json | undefined]> {
  const { exit, json, err } = await run('policy', 'test', dir, '--json', ...args)
  expect(err).toBe('')
  const [first] = Array.isArray(json['cases']) ? json['cases'] : []
  return [exit, isJsonObject(first) ? first['verdict'] : undefined]
}

/** What `why` says to write, by the kind of remedy. */
async function remedyOf(entry: string | undefined, kind: string): Promise<string> {
  const { json } = await run('why', entry ?? '', '--json')
  const remedies = Array.isArray(json['remedies']) ? json['remedies'] : []
  const found = remedies.find((remedy: Json) => isJsonObject(remedy) && remedy['kind'] === kind)
  return isJsonObject(found) && typeof found['how'] === 'string' ? found['how'] : ''
}

/** Changes the manifest as a person would, and signs it again. */
function editManifest(change: (yaml: string) => string): void {
  const file = join(installation.dir, 'manifests', 'desk.yaml')
  const changed = change(readFileSync(file, 'utf8'))
  const { accepted: _accepted, ...manifest } = parseManifest(changed)
  const key = installation.keys.operator
  writeFileSync(file, toManifestYaml(acceptManifest(manifest, { by: key.jkt, at: new Date().toISOString(), key })))
}

describe('a wrong refusal', () => {
  it('is mended by a grant', async () => {
    const agent = await work('Update record r2')
    const { entry, reason } = await agent.call('write_record', { id: 'r2', text: 'x' }, 'write: update record r2')
    expect(reason).toBe('scope.argument')
    const dir = await exported(entry)
    expect(await outcomeOf(dir)).toEqual([1, 'fail'])
    expect(await remedyOf(entry, 'grant')).toMatch(/operations\[1\]\.where: \{ id: \{ in: \["r1", "r2"\] \} \}$/)
    const grant = join(dir, 'wider.yaml')
    const operations = '[{ tool: desk/write_record, effects: [write], where: { id: { in: [r1, r2] } } }]'
    writeFileSync(grant, `principal: alice\nactor: agent\noperations: ${operations}\n`)
    expect(await outcomeOf(dir, '--grants', grant)).toEqual([0, 'pass'])
    // A grant for somebody else is none for this.
    writeFileSync(grant, `principal: mallory\nactor: agent\noperations: ${operations}\n`)
    expect(await outcomeOf(dir, '--grants', grant)).toEqual([1, 'fail'])
  })

  it('is mended by a label of a manifest', async () => {
    const agent = await work('Answer the newest mail in the inbox')
    await agent.call('read_inbox', {}, 'read: the user asked what is in the inbox')
    const { entry, reason } = await agent.call('delete_record', { id: 'r7' }, 'delete: delete record r7')
    expect(reason).toBe('context.untrusted-argument')
    const dir = await exported(entry, '--expect', 'challenge')
    const text = (await run('policy', 'test', dir)).out
    expect(text).toContain('was challenge context.untrusted-argument')
    const changed = readFileSync(join(installation.dir, 'manifests', 'desk.yaml'), 'utf8')
    expect(await remedyOf(entry, 'manifest')).toBe('manifest of desk: tools.read_inbox.output.trust: internal')
    editManifest((yaml) => yaml.replace(/(read_inbox:[\s\S]*?trust: )attacker-writable/, '$1internal'))
    const mended = (await run('policy', 'test', dir)).out
    expect(mended).toContain('context: concern context.untrusted-argument → pass')
    expect(mended).toContain('now challenge policy.approval-required')
    writeFileSync(join(installation.dir, 'manifests', 'desk.yaml'), changed)
  })

  it('is mended by a policy', async () => {
    const agent = await work('Delete record r3')
    const { entry, reason } = await agent.call('delete_record', { id: 'r3' }, 'delete: delete record r3')
    expect(reason).toBe('policy.approval-required')
    const dir = await exported(entry)
    expect(await outcomeOf(dir)).toEqual([1, 'fail'])
    expect(await remedyOf(entry, 'policy')).toContain('approve-delete')
    const file = join(installation.dir, 'policies', '30-challenge.cedar')
    const before = readFileSync(file, 'utf8')
    const exception = 'unless { context.approved || resource.tool == "delete_record" };'
    writeFileSync(file, before.replace('unless { context.approved };', exception))
    expect(await outcomeOf(dir)).toEqual([0, 'pass'])
    const { out } = await run('policy', 'test', dir)
    expect(out).toContain('policy: challenge approve-delete → permit')
    writeFileSync(file, before)
    expect(await outcomeOf(dir)).toEqual([1, 'fail'])
  })

  it('is kept from coming back: one that was right has to stay refused', async () => {
    const agent = await work('Look at record r3')
    const { entry } = await agent.call('delete_record', { id: 'r3' }, 'read: look at record r3')
    const dir = await exported(entry, '--right')
    expect(await outcomeOf(dir)).toEqual([0, 'pass'])
  })

  it('says what it could not decide again', async () => {
    const agent = await work('Format the disk')
    const { entry } = await agent.call('write_record', { id: 'r1' }, 'read: look at record r1')
    const dir = await exported(entry)
    const found: JsonObject = toObject(JSON.parse(readFileSync(join(dir, 'case.json'), 'utf8')))
    writeFileSync(join(dir, 'gone.json'), JSON.stringify({ ...found, evidence: null }))
    const verdicts = [{ ...toObject(Array.isArray(found['verdicts']) ? found['verdicts'][0] : null), engine: 'opa' }]
    writeFileSync(join(dir, 'other.json'), JSON.stringify({ ...found, verdicts }))
    const was = { ...toObject(found['was'] ?? null), reason: 'policy.approval-limit' }
    writeFileSync(join(dir, 'limit.json'), JSON.stringify({ ...found, was }))
    const { out, exit } = await run('policy', 'test', dir)
    expect(exit).toBe(1)
    expect(out).toContain('`deny policy.approval-limit` was decided by what lies outside the evidence')
    expect(out).toContain('skip gone.json')
    expect(out).toContain('not decided again: its evidence was gone')
    expect(out).toContain('not decided again: the engine `opa` is not asked again')
    expect(out).toContain('0 passed, 3 failed, 1 skipped')
    writeFileSync(join(dir, 'broken.json'), '{}')
    expect(await run('policy', 'test', dir)).toMatchObject({ exit: 2 })
    expect(await run('policy', 'test', join(installation.dir, 'keys'))).toMatchObject({ exit: 2 })
  })
})

const claimOf = (entry: string): CaseClaim => ({ entry, label: 'wrong', expected: 'permit', note: 'as it is' })

async function refused(): Promise<string> {
  const agent = await work('Look at record r1')
  return (await agent.call('write_record', { id: 'r1' }, 'read: look at record r1')).entry ?? ''
}

describe('a case', () => {
  it('is an act in the log, by whom it is', async () => {
    const entry = await refused()
    await exported(entry)
    const act = (await installation.entries()).findLast((each) => each.kind === 'control' && each.act === 'case.wrong')
    expect(act).toMatchObject({ by: installation.keys.operator.jkt })
    const { values } = await installation.evidence(act?.id ?? '')
    expect(values['detail']).toMatchObject({
      entry,
      label: 'wrong',
      expected: 'permit',
      note: 'the customer asked for it',
    })
    const [record] = await installation.serving.composed.store.get([caseRecord(entry)])
    // Ids and a label beside the evidence, nothing of what it is about.
    expect(Object.keys(toObject(record?.value ?? null)).toSorted()).toEqual([
      'at',
      'by',
      'entry',
      'expected',
      'id',
      'label',
    ])
  })

  it('takes no case that is not signed as it stands, and none of what is no decision', async () => {
    const entry = await refused()
    const sign = (claim: CaseClaim, name: Name = 'operator'): string =>
      signBytes(installation.keys[name], toCaseMessage(claim)).toString('base64url')
    const record = async (claim: CaseClaim, signature: string, as: Name = 'operator'): Promise<Json> =>
      installation.control(as, 'case.record', { ...claim, signature })
    const claim = claimOf(entry)
    await expect(record({ ...claim, note: 'another' }, sign(claim))).rejects.toThrow('not signed')
    await expect(record(claim, sign(claim, 'host'))).rejects.toThrow('not signed')
    for (const name of ['agent', 'host', 'pep', 'approver'] satisfies readonly Name[]) {
      await expect(record(claim, sign(claim, name), name)).rejects.toMatchObject({ reason: 'identity.key-role' })
      for (const method of ['case.list', 'case.show', 'report']) {
        await expect(installation.control(name, method)).rejects.toMatchObject({ reason: 'identity.key-role' })
      }
    }
    const act = (await installation.entries()).find(({ kind }) => kind === 'control')?.id ?? ''
    await expect(record(claimOf(act), sign(claimOf(act)))).rejects.toThrow('no decision')
    await expect(record(claim, sign(claim))).resolves.toMatchObject({ entry, label: 'wrong' })
  })

  it('is erased with its principal', async () => {
    const made = toObject(
      await installation.control('operator', 'grant.create', {
        grant: { principal: 'dora', actor: 'other', operations: [{ tool: 'desk/*', effects: ['read', 'write'] }] },
      }),
    )
    const { tasks } = installation.serving.composed.services
    const opened = {
      purpose: 'Look at record r1',
      principal: 'dora',
      actor: 'other',
      openedBy: installation.enrolled.host,
    }
    const { txn } = await tasks.open({ ...opened, grant: typeof made['id'] === 'string' ? made['id'] : '' })
    const agent = await connectAgent({ origin: installation.origin, key: installation.keys.other, txn })
    agents.push(agent)
    const { entry = '' } = await agent.call('write_record', { id: 'dora-1' }, 'read: look at record dora-1')
    await exported(entry)
    expect(await installation.control('operator', 'case.show', { entry })).toMatchObject({ label: 'wrong' })
    await installation.control('operator', 'subject.erase', { subject: 'user/dora' })
    await expect(installation.control('operator', 'case.show', { entry })).rejects.toThrow('was erased')
    expect(await installation.control('operator', 'entry.why', { id: entry })).toMatchObject({ evidence: 'gone' })
    expect((await run('report', '--cases', join(installation.dir, 'after'), '--json')).exit).toBe(0)
    expect(readdirSync(join(installation.dir, 'after'))).not.toContain(`wrong-${entry}.json`)
    const report = toObject(await installation.control('operator', 'report', { since: 0 }))
    const { groups } = toObject(report['refusals'] ?? null)
    expect(groups).toContainEqual({
      tool: null,
      reason: 'intent.effect-mismatch',
      decision: 'deny',
      count: 1,
      right: 0,
      wrong: 1,
    })
  })
})

describe('report', () => {
  it('writes the cases that there are', async () => {
    const dir = join(installation.dir, 'all-cases')
    const { exit, json } = await run('report', '--cases', dir, '--json')
    expect(exit).toBe(0)
    expect(readdirSync(dir)).toHaveLength(Number(json['cases']))
    expect(readdirSync(dir).every((name) => /^(wrong|right)-[\w-]{22}\.json$/.test(name))).toBe(true)
  })

  it('counts what happened: refusals with their labels, approvals, autonomy', async () => {
    const agent = await work('Delete record r1, update record r1')
    const before = toObject(await installation.control('operator', 'report', { since: 0 }))
    const { ticket = '' } = await agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')
    await installation.answer(ticket, 'approved')
    expect(await agent.call('delete_record', { id: 'r1' }, 'delete: delete record r1')).toMatchObject({ ok: true })
    expect(await agent.call('write_record', { id: 'r1', text: 'x' }, 'write: update record r1')).toMatchObject({
      ok: true,
    })
    await agent.call('read_record', { id: 'r1' })
    const after = toObject(await installation.control('operator', 'report', { since: 0 }))
    const grown = (section: string, member: string): number =>
      Number(toObject(after[section] ?? null)[member]) - Number(toObject(before[section] ?? null)[member])
    expect(grown('decisions', 'permit')).toBe(3)
    expect(grown('decisions', 'challenge')).toBe(1)
    expect(grown('approvals', 'asked')).toBe(1)
    expect(grown('approvals', 'given')).toBe(1)
    expect(grown('autonomy', 'consequential')).toBe(2)
    expect(grown('autonomy', 'withoutPerson')).toBe(1)
    const { groups } = toObject(toObject(after['refusals'] ?? null))
    expect(groups).toContainEqual(
      expect.objectContaining({
        tool: 'desk/write_record',
        reason: 'scope.argument',
        decision: 'deny',
        count: 1,
        wrong: 1,
        right: 0,
      }),
    )
    expect(toObject(after['refusals'] ?? null)).toMatchObject({ right: 1 })
  })

  it('says the same beside the server as through it', async () => {
    const { json, exit } = await run('report', '--since', 'all', '--json')
    expect(exit).toBe(0)
    const asked = toObject(await installation.control('operator', 'report', { since: 0 }))
    expect({ ...json, until: 0 }).toEqual({ ...asked, until: 0 })
    const { out } = await run('report')
    expect(out).toMatch(/autonomy   \d+ of \d+ consequential actions executed without a person/)
    expect(out).toContain('nothing was decided in `observe`')
  })
})
