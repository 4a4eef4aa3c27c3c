/**
 * @module
 * What every setup is asked: one read and one write of about 1 KB, the tools behind them, and how a success looks.
 */
import { hashOf, isJsonObject, parseJson, UnavailableError, type Json, type JsonObject } from '../src/index.ts'
import type { ServerManifest, ToolManifest } from '../src/core/manifest.ts'

export const EFFECTS = ['read', 'write'] as const
export type CallEffect = (typeof EFFECTS)[number]

export const UPSTREAM = 'records'
export const PATH: `/${string}` = `/mcp/${UPSTREAM}`
export const PURPOSE = 'Look up record-42, and keep the note on record-42 up to date'
/** The JSON body of a call, in bytes. */
export const BODY_BYTES = 1024

const NAMES: Readonly<Record<CallEffect, string>> = { read: 'find_record', write: 'update_record' }

const INTENTS: Readonly<Record<CallEffect, string>> = {
  read: 'read: the user asked what is written about this in record-42',
  write: 'write: the user asked to keep the note on record-42 up to date',
}

const FILLER = 'the customer called about the delivery and would like to hear from us before the end of the week, '

/** The body of call number `seq`: no two calls of a run are the same action, all are `BODY_BYTES` long. */
export function toCall(effect: CallEffect, seq: number): string {
  const text = `${toLabel(seq)} ${FILLER.repeat(12)}`
  const whole = toBody(effect, seq, text)
  const excess = Math.max(0, whole.length - BODY_BYTES)
  return toBody(effect, seq, text.slice(0, text.length - excess))
}

function toBody(effect: CallEffect, seq: number, text: string): string {
  const given = { unbearer_intent: INTENTS[effect], id: 'record-42', text }
  const params = { name: NAMES[effect], arguments: given }
  return JSON.stringify({ jsonrpc: '2.0', id: seq, method: 'tools/call', params })
}

function toLabel(seq: number): string {
  return `note-${String(seq).padStart(9, '0')}`
}

/** What the tool does: it answers with the label of the text that it was given, so that an answer shows which call ran. */
export function runTool(name: Json | undefined, given: Json | undefined): JsonObject {
  const known = Object.values(NAMES).some((one) => one === name)
  const text = known && isJsonObject(given) ? given['text'] : undefined
  if (typeof text !== 'string') throw new UnavailableError('the tool was called with something else')
  return { content: [{ type: 'text', text: `record-42 ${text.slice(0, text.indexOf(' '))} done` }] }
}

/** Throws `UnavailableError`, saying what came back, unless it is the tool's own success for this very call. */
export function assertDone(setup: string, seq: number, status: number, body: string): void {
  const expected: JsonObject = runTool(NAMES.read, { text: `${toLabel(seq)} ` })
  if (status === 200 && isAnswer(body, seq, expected)) return
  throw new UnavailableError(
    `\`${setup}\` did not do what it was asked: status ${status}, ${body.slice(0, 600).replaceAll(/\s+/g, ' ')}`,
  )
}

function isAnswer(body: string, seq: number, expected: JsonObject): boolean {
  const message = parseObject(body)
  const result = message?.['result']
  if (message?.['id'] !== seq || !isJsonObject(result) || result['isError'] === true) return false
  return JSON.stringify(result['content']) === JSON.stringify(expected['content'])
}

function parseObject(text: string): JsonObject | undefined {
  try {
    const value = parseJson(text)
    return isJsonObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const SCHEMA: JsonObject = {
  type: 'object',
  properties: { id: { type: 'string' }, text: { type: 'string' } },
  required: ['id', 'text'],
}

const ABOUT: Readonly<Record<CallEffect, string>> = {
  read: 'Finds what a record says about a text.',
  write: 'Replaces the note on a record.',
}

function toDescriptor(effect: CallEffect): JsonObject {
  return { name: NAMES[effect], description: ABOUT[effect], inputSchema: SCHEMA }
}

export const DESCRIPTORS: readonly JsonObject[] = EFFECTS.map(toDescriptor)

/** The pin of each tool, as the gateway computes it from what the server lists. */
export const DESCRIPTOR_HASHES: ReadonlyMap<string, string> = new Map(
  EFFECTS.map((effect) => [NAMES[effect], hashOf(toDescriptor(effect))]),
)

function toManifest(effect: CallEffect): readonly [string, ToolManifest] {
  const name = NAMES[effect]
  return [
    name,
    {
      hash: DESCRIPTOR_HASHES.get(name) ?? '',
      effect,
      arguments: { id: { role: 'selector' }, text: { role: 'content' } },
      output: { trust: 'internal', confidentiality: 'internal' },
      idempotent: false,
      reversible: true,
      bounded: true,
    },
  ]
}

export const MANIFEST: ServerManifest = { server: UPSTREAM, tools: Object.fromEntries(EFFECTS.map(toManifest)) }

/** The human form of the grant of one agent. */
export function toGrant(actor: string, principal: string): JsonObject {
  return {
    principal,
    actor,
    expires: '8h',
    operations: [
      { tool: `${UPSTREAM}/${NAMES.read}`, effects: ['read'] },
      { tool: `${UPSTREAM}/${NAMES.write}`, effects: ['read', 'write'], where: { id: { in: ['record-42'] } } },
    ],
  }
}
