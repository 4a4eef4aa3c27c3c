/**
 * @module
 * A small MCP tool server over stdio that can send a message: it appends to a file, so that what left can be counted.
 * It stands for any e-mail or chat tool. It trusts whoever speaks to it, as such servers do.
 * Usage: `node outbox-server.js FILE`
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const file = process.argv[2] ?? ''

const TOOL = {
  name: 'send_message',
  description: 'Sends a message to one recipient.',
  inputSchema: {
    type: 'object',
    properties: {
      to: { type: 'string', description: 'The address of the recipient.' },
      body: { type: 'string', description: 'The text of the message.' },
    },
    required: ['to', 'body'],
  },
}

interface Message {
  readonly id?: string | number
  readonly method?: string
  readonly params?: {
    readonly protocolVersion?: string
    readonly arguments?: { readonly to?: unknown; readonly body?: unknown }
  }
}

function answer({ method, params }: Message): object {
  if (method === 'initialize') {
    const protocolVersion = params?.protocolVersion ?? '2025-11-25'
    return { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'outbox', version: '1.0.0' } }
  }
  if (method === 'tools/list') return { tools: [TOOL] }
  if (method === 'tools/call') {
    appendFileSync(file, `${JSON.stringify({ to: params?.arguments?.to, body: params?.arguments?.body })}\n`)
    return { content: [{ type: 'text', text: 'sent' }] }
  }
  return {}
}

function isMessage(value: unknown): value is Message {
  return typeof value === 'object' && value !== null
}

for await (const line of createInterface({ input: process.stdin })) {
  const message: unknown = JSON.parse(line)
  if (isMessage(message) && message.id !== undefined) {
    process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: message.id, result: answer(message) })}\n`)
  }
}
