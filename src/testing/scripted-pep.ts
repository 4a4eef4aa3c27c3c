/**
 * @module
 * A PEP that does what a test tells it to, also what no PEP should do. Decides nothing: it is the other side of the adapter
 * contract, which measures what an adapter does with each answer.
 */
import { randomUUID } from 'node:crypto'

import {
  hashOf,
  REASONS,
  RefusedError,
  toRefusal,
  UnavailableError,
  type AccessRequest,
  type Enforced,
  type Json,
  type JsonObject,
  type Pep,
  type Perform,
  type PerformContext,
  type Reason,
  type Task,
} from '../index.ts'

/**
 * `down`: rejects. `throws`: throws at once. `late`: decides only after `release`. `lies`: says performed and performed
 * nothing. `rewrite`: permits the same tool with other arguments (`REWRITTEN`). `twice`: performs a second time.
 * `unredeemable`: permits, but the credential is refused. `unlabelled`: the output cannot be labelled. `redact`: an
 * obligation takes everything out of the output. `challenge`: held until `approve`; an approval counts once.
 */
export type PepScript =
  | 'permit'
  | 'refuse'
  | 'challenge'
  | 'down'
  | 'throws'
  | 'late'
  | 'lies'
  | 'rewrite'
  | 'twice'
  | 'unredeemable'
  | 'unlabelled'
  | 'redact'

export interface ScriptedPep extends Pep {
  script: PepScript
  /** A refusal for single requests, before the script. */
  refuses: (request: AccessRequest) => boolean
  readonly requests: AccessRequest[]
  /** Permits that were given out: an execution without one is a hole. */
  readonly permits: JsonObject[]
  /** What was labelled, in order. */
  readonly labelled: Json[]
  /** From now on labels and late decisions wait for `release`. */
  hold(): void
  release(): void
  /** Answers a ticket as a person would. */
  approve(ticket: string): void
  /** Aborts what is under way. */
  revoke(): void
}

export const REWRITTEN = 'as decided'
export const REDACTED = '[redacted]'

interface State {
  gate: { readonly open: Promise<void>; readonly release: () => void }
  revocation: AbortController
  readonly approvals: Map<string, { readonly ticket: string; approved: boolean }>
}

/** Creates one that permits. */
export function createScriptedPep(): ScriptedPep {
  const state: State = { gate: toGate(), revocation: new AbortController(), approvals: new Map() }
  state.gate.release()
  const pep: ScriptedPep = {
    script: 'permit',
    refuses: () => false,
    requests: [],
    permits: [],
    labelled: [],
    hold: () => (state.gate = toGate()),
    release: () => state.gate.release(),
    approve: (ticket) => {
      for (const approval of state.approvals.values()) if (approval.ticket === ticket) approval.approved = true
    },
    revoke: () => {
      state.revocation.abort()
      state.revocation = new AbortController()
    },
    enforce: (request, perform) => enforce(pep, state, request, perform),
    openConnectionTask: async () => CONNECTION_TASK,
    mode: () => 'enforce',
    tool: () => ({ status: 'accepted', tool: TOOL, manifest: 'sha-256:manifest' }),
    manifest: () => undefined,
    newId: () => randomUUID(),
  }
  return pep
}

const TOOL = {
  hash: 'sha-256:tool',
  effect: 'write',
  arguments: {},
  output: { trust: 'own', confidentiality: 'public' },
  idempotent: false,
} as const

const CONNECTION_TASK: Task = {
  txn: 'connection',
  principal: { type: 'connection', id: 'connection' },
  openedBy: { role: 'connection' },
  openedAt: 0,
  expires: Number.MAX_SAFE_INTEGER,
}

function toGate(): State['gate'] {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { open: promise, release: resolve }
}

/** Not an async function: `throws` must throw before there is a promise. */
function enforce(pep: ScriptedPep, state: State, request: AccessRequest, perform: Perform): Promise<Enforced> {
  pep.requests.push(request)
  if (pep.script === 'throws') throw new UnavailableError('the decision point broke')
  return answer(pep, state, request, perform)
}

async function answer(pep: ScriptedPep, state: State, request: AccessRequest, perform: Perform): Promise<Enforced> {
  const { script } = pep
  if (script === 'down') throw new UnavailableError('the decision point is away')
  if (script === 'late') await state.gate.open
  if (script === 'refuse' || pep.refuses(request)) return toRefused('policy.denied')
  if (script === 'lies') return { kind: 'performed', entry: 'none', output: 'never happened', failed: false }
  const ticket = script === 'challenge' ? findTicket(state, request) : undefined
  if (ticket !== undefined) return toRefused('policy.approval-required', ticket)
  const body = script === 'rewrite' ? toRewritten(request.action.body) : request.action.body
  return release(pep, state, body, perform)
}

function toRewritten(body: JsonObject): JsonObject {
  return { ...body, arguments: { text: REWRITTEN } }
}

/** The ticket that still has to be answered; an approval is consumed by being found. */
function findTicket({ approvals }: State, { action, context }: AccessRequest): string | undefined {
  const bind = hashOf([context.txn ?? null, action.body])
  const known = approvals.get(bind)
  if (known?.approved === true) {
    approvals.delete(bind)
    return undefined
  }
  const ticket = known?.ticket ?? randomUUID()
  approvals.set(bind, { ticket, approved: false })
  return ticket
}

async function release(pep: ScriptedPep, state: State, body: JsonObject, perform: Perform): Promise<Enforced> {
  pep.permits.push(body)
  try {
    const context = toContext(pep, state, body)
    const { output, failed = false } = await perform(context)
    if (pep.script === 'twice') await perform(context).catch(() => undefined)
    if (pep.script === 'unlabelled') throw new UnavailableError('the label could not be written')
    await state.gate.open
    pep.labelled.push(output)
    return { kind: 'performed', entry: 'entry', output: pep.script === 'redact' ? toRedacted(output) : output, failed }
  } catch (fault) {
    return toRefused(fault instanceof RefusedError ? fault.reason : 'system.upstream')
  }
}

function toContext(pep: ScriptedPep, state: State, body: JsonObject): PerformContext {
  let isRedeemed = false
  return {
    body,
    signal: state.revocation.signal,
    redeem: async (received) => {
      const isOne = hashOf(received) === hashOf(body)
      if (!isOne) return { ok: false, reason: 'credential.mismatch' }
      if (isRedeemed) return { ok: false, reason: 'credential.replayed' }
      isRedeemed = true
      return pep.script === 'unredeemable' ? { ok: false, reason: 'credential.revoked' } : { ok: true }
    },
    observe: async (value) => {
      if (pep.script === 'unlabelled') throw new UnavailableError('the label could not be written')
      await state.gate.open
      pep.labelled.push(value)
    },
  }
}

/** The same shape with every text taken out, as a redaction would leave it. */
function toRedacted(value: Json): Json {
  if (typeof value === 'string') return REDACTED
  if (Array.isArray(value)) return value.map(toRedacted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member = null]) => [key, key === 'type' ? member : toRedacted(member)]),
  )
}

function toRefused(reason: Reason, ticket?: string): Enforced {
  const kind = REASONS[reason].decision
  const handles = { entry: 'entry', ...(ticket === undefined ? {} : { ticket }) }
  return { kind: 'refused', refusal: toRefusal({ kind, reason, reasons: [reason] }, handles) }
}
