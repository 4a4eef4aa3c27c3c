/**
 * @module
 * The decision chain as it ships (default policies, Cedar, the SQL parser) over a store in memory, with one agent, one
 * task and one grant. What a hijacked agent can reach with them is what the tests beside it ask.
 */
import type { Budget, Grant, JsonObject, Mode, Operation, Reason, ToolFacts, ToolManifest } from '../../src/index.ts'
import type { Approval, EnrolledKey, Task } from '../../src/core/evidence.ts'
import { asJson, isJsonObject, type Json } from '../../src/core/json.ts'
import {
  approvalRecord,
  budgetRecord,
  fromRecord,
  grantRecord,
  keyRecord,
  MODE_ACTS_RECORD,
  taskRecord,
} from '../../src/core/records.ts'
import { toIssuerKeys } from '../../src/crypto/issuer-keys.ts'
import { generateKey, importKey } from '../../src/crypto/keys.ts'
import { createEffectComputer } from '../../src/effects/manifest.ts'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { defaultPolicyFolder, loadPolicyFolder } from '../../src/engines/policy-files.ts'
import { newId } from '../../src/pdp/log-entries.ts'
import type { Modes } from '../../src/pdp/modes.ts'
import { createPdp, type Pdp } from '../../src/pdp/pdp.ts'
import { createTelemetry } from '../../src/pdp/telemetry.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { createTestSeal } from '../../src/testing/index.ts'

/** Tools by `upstream/tool`; what is not said is harmless and internal. */
export type Tools = Readonly<Record<string, Partial<ToolManifest>>>

export interface SceneOptions {
  readonly tools: Tools
  readonly purpose?: string
  /** Absent: everything of every tool. `none`: the task has no grant. */
  readonly operations?: readonly Operation[] | 'none'
  readonly budgets?: readonly Budget[]
  readonly mode?: Mode
}

export interface Call {
  readonly tool: string
  readonly args: JsonObject
  readonly intent: string
  /** What the tool answers. */
  readonly output?: Json
}

export type Did = { readonly did: true } | { readonly did: false; readonly answer: string; readonly ticket?: string }

export interface Scene {
  /** One call; `did` is whether the tool was reached. */
  call(call: Call): Promise<Did>
  /** `done`, or the decision and its reason: `deny scope.argument`. */
  ask(call: Call): Promise<string>
  /** A person says yes to a ticket. */
  approve(ticket: string): Promise<void>
  used(budget: string): Promise<number>
  /** What reached tools, as it did. */
  readonly reached: JsonObject[]
  close(): Promise<void>
}

const NOW = 1_800_000_000_000
const JKT = 'agent-key'
const PLAIN: ToolManifest = {
  hash: 'sha-256:h',
  effect: 'read',
  arguments: {},
  output: { trust: 'internal', confidentiality: 'internal' },
  idempotent: false,
}

export const INTERNAL = { trust: 'internal', confidentiality: 'confidential' } as const
export const OWN = { trust: 'own', confidentiality: 'internal' } as const
export const WILD = { trust: 'attacker-writable', confidentiality: 'confidential' } as const

const key: EnrolledKey = { jkt: JKT, name: 'agent', role: 'agent', jwk: {}, enrolledAt: 0, by: 'operator' }
const effects = await createEffectComputer()
const engine = await createCedarEngine({ policies: await loadPolicyFolder(defaultPolicyFolder) })
const issuerKey = importKey(generateKey('Ed25519'))

export async function createScene(options: SceneOptions): Promise<Scene> {
  const clock = { now: () => NOW }
  const store = createMemoryStore({ seal: createTestSeal(), clock })
  const write = async (records: Readonly<Record<string, object | number>>): Promise<void> => {
    const result = await store.commit({
      writes: Object.entries(records).map(([name, value]) => ({
        key: name,
        value: typeof value === 'number' ? value : asJson(value),
      })),
    })
    if (result.status === 'applied') await result.durable
  }
  const grant = toGrant(options)
  const task: Task = {
    txn: 'T',
    principal: { type: 'user', id: 'alice' },
    actor: JKT,
    openedBy: { role: 'host', jkt: 'host-key' },
    openedAt: NOW,
    expires: NOW + 3_600_000,
    ...(options.purpose === undefined ? {} : { purpose: options.purpose, purposeHash: 'sha-256:p' }),
    ...(grant === undefined ? {} : { grant: grant.id }),
  }
  await write({
    [keyRecord(JKT)]: key,
    [taskRecord('T')]: task,
    ...(grant === undefined ? {} : { [grantRecord(grant.id)]: grant }),
  })
  const pdp = createPdp({
    store,
    clock,
    feed: { rev: () => 0, fresh: () => true, find: () => undefined, subscribe: () => () => undefined },
    engines: [engine],
    effects,
    telemetry: createTelemetry(),
    issuer: 'https://unbearer.example',
    issuerKeys: toIssuerKeys(issuerKey),
    deployment: 'separate',
    modes: fixedModes(options.mode ?? 'enforce'),
    tool: (upstream, tool) => toFacts(options.tools[`${upstream}/${tool}`]),
    generation: () => 0,
    limits: { deadlineMs: 5_000, approvalsPerTask: 3, approvalsPerActor: 30, asksPerTask: 20 },
    admission: {
      enter: () => ({ ok: true, leave: () => undefined }),
      turnAway: () => undefined,
      close: async () => undefined,
    },
    suspensions: { isSuspended: () => false, count: async () => undefined, list: () => [], lift: () => undefined },
    credentialTtlSeconds: 30,
    anomalyThreshold: 0.01,
    report: () => undefined,
  })
  const reached: JsonObject[] = []
  const call = async (given: Call): Promise<Did> => perform(pdp, given, reached)
  return {
    call,
    reached,
    ask: async (given) => {
      const done = await call(given)
      return done.did ? 'done' : done.answer
    },
    async approve(ticket) {
      const [record] = await store.get([approvalRecord(ticket)])
      const found = fromRecord<Approval>(record)
      if (found === undefined) throw new RangeError('there is no such ticket')
      await write({ [approvalRecord(ticket)]: { ...found, status: 'approved', answered: { by: 'bob', at: NOW } } })
    },
    async used(budget) {
      const [record] = await store.get([budgetRecord('G', budget)])
      return fromRecord<number>(record) ?? 0
    },
    async close() {
      pdp.close()
      await store.close()
    },
  }
}

/** Everything in one mode, whoever signed for it. */
function fixedModes(mode: Mode): Modes {
  return {
    file: { mode, rules: [] },
    decide: async () => ({ mode, from: 'mode', key: MODE_ACTS_RECORD, version: 0 }),
    look: () => ({ mode, from: 'mode' }),
    load: async () => undefined,
    inForce: () => [],
  }
}

function toGrant({ operations, budgets = [], tools }: SceneOptions): Grant | undefined {
  if (operations === 'none') return undefined
  const all = [...new Set(Object.keys(tools).map((name) => name.split('/')[0] ?? ''))].map((upstream): Operation => ({
    upstream,
    tool: '*',
    effects: ['delete', 'send', 'spend', 'execute', 'admin'],
    where: {},
  }))
  return {
    id: 'G',
    principal: { type: 'user', id: 'alice' },
    actor: JKT,
    issuedBy: { role: 'operator', jkt: 'operator-key' },
    notBefore: NOW - 1,
    expires: NOW + 3_600_000,
    operations: operations ?? all,
    budgets,
    depth: 0,
  }
}

function toFacts(tool: Partial<ToolManifest> | undefined): ToolFacts {
  if (tool === undefined) return { status: 'unknown' }
  return { status: 'accepted', tool: { ...PLAIN, ...tool }, manifest: 'sha-256:m' }
}

async function perform(pdp: Pdp, { tool, args, intent, output = {} }: Call, reached: JsonObject[]): Promise<Did> {
  const [upstream = '', name = ''] = tool.split('/')
  const enforced = await pdp.enforce(
    {
      id: newId(),
      plane: 'mcp',
      subject: { type: 'user', id: 'alice' },
      actor: { type: 'agent', id: 'agent', jkt: JKT },
      action: { name: 'tools/call', body: { method: 'tools/call', name, arguments: args } },
      resource: { type: 'tool', id: tool },
      context: {
        aud: `urn:unbearer:upstream:${upstream}`,
        upstream,
        tool: name,
        txn: 'T',
        intent: { text: intent, source: 'argument' },
        proof: { grade: 'signature', jkt: JKT, bodyBound: true },
      },
    },
    async (context) => {
      const { body } = context
      const redemption = await context.redeem(body)
      if (!redemption.ok) throw new RangeError(redemption.reason)
      const given = body['arguments']
      reached.push(isJsonObject(given) ? given : {})
      return { output }
    },
  )
  if (enforced.kind === 'performed') return { did: true }
  const { decision, reason, ticket } = enforced.refusal
  return { did: false, answer: toAnswer(decision, reason), ...(ticket === undefined ? {} : { ticket }) }
}

function toAnswer(decision: string, reason: Reason): string {
  return `${decision} ${reason}`
}
