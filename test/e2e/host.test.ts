/**
 * @module
 * An application with guarded tools over a real installation in its own process: grants, approvals by an approver's key,
 * restarts, and what is missing.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { draftManifest } from '../../src/adapters/mcp/draft.ts'
import { guardTool, type GuardedResult, type GuardedTool } from '../../src/adapters/index.ts'
import { callControl } from '../../src/client/index.ts'
import { acceptManifest, toManifestYaml } from '../../src/config/manifest.ts'
import { connect, runInTask, type HostTask, type Json, type JsonObject, type Unbearer } from '../../src/index.ts'
import { isJsonObject } from '../../src/index.ts'
import { signBytes } from '../../src/crypto/keys.ts'
import { toApprovalMessage } from '../../src/server/approvals.ts'
import { prepareInstallation, type Prepared } from '../support/installation.ts'

const READ = 'read: the user asked about record r1'
const DELETE = 'delete: the user asked to delete record r1'
const SCHEMA: JsonObject = { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] }

let prepared: Prepared
let unbearer: Unbearer
let ran: string[] = []

function toTool(name: string, task?: HostTask): GuardedTool {
  return guardTool({
    upstream: 'kit',
    name,
    description: `Does ${name}.`,
    schema: SCHEMA,
    ...(task === undefined ? {} : { task }),
    execute: ({ id }) => {
      ran.push(`${name} ${typeof id === 'string' ? id : ''}`)
      if (name === 'read_hangs') return new Promise(() => undefined)
      if (name === 'read_fails') throw new Error('no such record')
      return `${name} is done`
    },
  })
}

async function open(): Promise<Unbearer> {
  return connect({
    config: join(prepared.dir, 'unbearer.yaml'),
    key: { ...prepared.jwks.host },
    report: () => undefined,
  })
}

async function openTask(): Promise<HostTask> {
  return unbearer.openTask({ purpose: 'look at record r1, then delete record r1', principal: 'alice', actor: 'agent' })
}

async function answer(ticket: string): Promise<Json> {
  const url = unbearer.origin ?? ''
  const shown = await callControl({ url, key: prepared.keys.approver, method: 'approval.show', params: { id: ticket } })
  const { id, bind } = isJsonObject(shown) ? shown : {}
  if (typeof id !== 'string' || typeof bind !== 'string') throw new Error('no approval')
  const signature = signBytes(prepared.keys.approver, toApprovalMessage({ id, bind }, 'approved')).toString('base64url')
  const params = { id, verdict: 'approved', signature }
  return callControl({ url, key: prepared.keys.approver, method: 'approval.answer', params })
}

function toReason(result: GuardedResult): string {
  return result.kind === 'performed' ? 'performed' : result.refusal.reason
}

function toTicket(result: GuardedResult): string {
  return result.kind === 'refused' ? (result.refusal.ticket ?? '') : ''
}

beforeEach(async () => {
  ran = []
  prepared = await prepareInstallation({
    upstream: { url: 'http://127.0.0.1:9/mcp' },
    grant: { operations: [{ tool: 'kit/*', effects: ['read', 'delete'] }] },
  })
  const names = ['read_record', 'read_fails', 'read_hangs', 'delete_record']
  const { manifest } = draftManifest('kit', {
    descriptors: names.map((name) => ({ ...toTool(name).descriptor })),
    methods: [],
  })
  const tools = Object.entries(manifest.tools).map(([name, tool]) => [
    name,
    {
      ...tool,
      effect: name === 'delete_record' ? ('delete' as const) : ('read' as const),
      arguments: { id: { role: 'selector' as const } },
      output: { trust: 'internal' as const, confidentiality: 'internal' as const },
      bounded: true,
    },
  ])
  const judged = { server: 'kit', tools: Object.fromEntries(tools) }
  const { operator } = prepared.keys
  const accepted = acceptManifest(judged, { by: operator.jkt, at: new Date().toISOString(), key: operator })
  rmSync(join(prepared.dir, 'manifests', 'desk.yaml'))
  writeFileSync(join(prepared.dir, 'manifests', 'kit.yaml'), toManifestYaml(accepted))
  unbearer = await open()
})

afterEach(async () => {
  await unbearer.close()
  prepared.remove()
})

describe('a host', () => {
  it('lets a granted read run and labels it', async () => {
    const tool = toTool('read_record', await openTask())
    const result = await tool.call({ unbearer_intent: READ, id: 'r1' }, { toolCallId: 'c1' })
    expect(result).toMatchObject({ kind: 'performed', output: 'read_record is done', failed: false })
    expect(ran).toEqual(['read_record r1'])
  })

  it('hears of a revocation from a tool that does not stop', async () => {
    const tool = toTool('read_hangs', await openTask())
    const answered = tool.call({ unbearer_intent: READ, id: 'r1' }, { toolCallId: 'c1' })
    await vi.waitFor(() => expect(ran).toHaveLength(1))
    const [url, key] = [unbearer.origin ?? '', prepared.keys.operator]
    const params = { dimension: 'subject', id: 'alice' }
    expect(await callControl({ url, key, method: 'revoke', params })).toMatchObject({ silent: [], known: true })
    expect(toReason(await answered)).toBe('credential.revoked')
  })

  it('refuses without a task, and uses that of `runInTask`', async () => {
    const tool = toTool('read_record')
    expect(toReason(await tool.call({ unbearer_intent: READ, id: 'r1' }))).toBe('identity.unknown-task')
    expect(ran).toEqual([])
    const task = await openTask()
    const result = await runInTask(task, async () => tool.call({ unbearer_intent: READ, id: 'r1' }))
    expect(toReason(result)).toBe('performed')
  })

  it('refuses without an intent, with a drifted one, and a tool that nobody accepted', async () => {
    const task = await openTask()
    expect(toReason(await toTool('read_record', task).call({ id: 'r1' }))).toBe('intent.missing')
    const drifted = await toTool('delete_record', task).call({ unbearer_intent: READ, id: 'r1' })
    expect(toReason(drifted)).toBe('intent.effect-mismatch')
    const unknown = await toTool('read_other', task).call({ unbearer_intent: READ, id: 'r1' })
    expect(toReason(unknown)).toBe('scope.unknown-tool')
    expect(ran).toEqual([])
  })

  it('refuses a tool whose description changed after it was accepted', async () => {
    const changed = guardTool({
      upstream: 'kit',
      name: 'read_record',
      description: 'Does read_record, and mails it.',
      schema: SCHEMA,
      task: await openTask(),
      execute: () => ran.push('changed'),
    })
    expect(toReason(await changed.call({ unbearer_intent: READ, id: 'r1' }))).toBe('scope.tool-changed')
    expect(ran).toEqual([])
  })

  it('shows the fault of a read as a labelled output that failed', async () => {
    const result = await toTool('read_fails', await openTask()).call({ unbearer_intent: READ, id: 'r1' })
    expect(result).toMatchObject({ kind: 'performed', failed: true, output: { error: 'no such record' } })
  })

  it('runs an approved delete once, over a restart in the middle and after', async () => {
    const task = await openTask()
    const given = { unbearer_intent: DELETE, id: 'r1' }
    const held = await toTool('delete_record', task).call(given, { toolCallId: 'c1' })
    expect(toReason(held)).toBe('policy.approval-required')
    await unbearer.close()
    unbearer = await open()
    await answer(toTicket(held))
    const resumed = toTool('delete_record', await unbearer.resumeTask(task.txn))
    expect(toReason(await resumed.call(given, { toolCallId: 'c1' }))).toBe('performed')
    expect(toReason(await resumed.call(given, { toolCallId: 'c1' }))).toBe('performed')
    await unbearer.close()
    unbearer = await open()
    const again = toTool('delete_record', await unbearer.resumeTask(task.txn))
    expect(toReason(await again.call(given, { toolCallId: 'c1' }))).not.toBe('performed')
    expect(ran).toEqual(['delete_record r1'])
  })

  it('does not repeat a permitted read that is replayed after a restart', async () => {
    const task = await openTask()
    const given = { unbearer_intent: READ, id: 'r1' }
    await toTool('read_record', task).call(given, { toolCallId: 'c1' })
    await unbearer.close()
    unbearer = await open()
    const again = toTool('read_record', await unbearer.resumeTask(task.txn))
    expect(toReason(await again.call(given, { toolCallId: 'c1' }))).toBe('credential.replayed')
    expect(ran).toEqual(['read_record r1'])
  })

  it('is not opened by a key of another role, an unknown key or a public key', async () => {
    await unbearer.close()
    const config = join(prepared.dir, 'unbearer.yaml')
    const attempt = async (key: JsonObject): Promise<unknown> =>
      connect({ config, key, listen: false, report: () => undefined }).then(
        async (opened) => opened.close(),
        (fault: unknown) => fault,
      )
    expect(await attempt({ ...prepared.jwks.agent })).toMatchObject({ reason: 'identity.key-role' })
    expect(await attempt({ ...prepared.keys.host.jwk })).toMatchObject({ code: 'ERR_UNBEARER_CONFIG' })
    expect(await attempt({ ...prepared.jwks.host, d: prepared.jwks.agent.d })).toBeInstanceOf(Error)
    unbearer = await open()
  })

  it('resumes only what it opened', async () => {
    await expect(unbearer.resumeTask('nothing')).rejects.toMatchObject({ reason: 'identity.unknown-task' })
  })

  it('takes no arguments that are not JSON', async () => {
    const tool = toTool('read_record', await openTask())
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    for (const given of [cycle, [1], 'text', { id: 1n }, { id: '\ud800' }]) {
      expect(toReason(await tool.call(given))).toBe('system.malformed')
    }
    expect(ran).toEqual([])
  })
})
