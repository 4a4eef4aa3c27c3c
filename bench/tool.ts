/**
 * @module
 * The tool service: enough of MCP for the gateway to front it, and one tool behind it whose duration can be chosen.
 */
import { setTimeout as wait } from 'node:timers/promises'

import { isJsonObject, type JsonObject } from '../src/index.ts'
import { DESCRIPTORS, runTool } from './calls.ts'
import type { Reply } from './listener.ts'

export interface Tool {
  /** Milliseconds that a call takes; 0 answers at once. */
  delayMs: number
  /** How many calls have run. */
  ran: number
}

export const tool: Tool = { delayMs: 0, ran: 0 }

/** Runs the tool on the `params` of a `tools/call`. */
export async function callTool({ name, arguments: given }: JsonObject): Promise<JsonObject> {
  if (tool.delayMs > 0) await wait(tool.delayMs)
  const result = runTool(name, given)
  tool.ran += 1
  return result
}

/** Answers one JSON-RPC message. */
export async function answerMessage(body: Buffer): Promise<Reply> {
  const message: unknown = JSON.parse(body.toString('utf8'))
  if (!isMessage(message)) return { status: 400, body: '{}' }
  if (message.id === undefined) return { status: 202, body: '' }
  const result = await toResult(message)
  return { status: 200, body: JSON.stringify({ jsonrpc: '2.0', id: message.id, result }) }
}

interface Message {
  readonly id?: string | number
  readonly method: string
  readonly params?: JsonObject
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && 'method' in value
}

async function toResult({ method, params = {} }: Message): Promise<JsonObject> {
  if (method === 'tools/call' && isJsonObject(params)) return callTool(params)
  if (method === 'tools/list') return { tools: [...DESCRIPTORS] }
  return {
    protocolVersion: '2025-06-18',
    capabilities: { tools: {} },
    serverInfo: { name: 'bench-tool', version: '1' },
  }
}
