import { describe, expect, it } from 'vitest'

import type { JsonObject } from '../../index.ts'
import { draftManifest } from './draft.ts'
import { guessRole } from './guess.ts'

function draftOf(descriptor: JsonObject) {
  const draft = draftManifest('s', { descriptors: [descriptor], methods: [] })
  const name = typeof descriptor['name'] === 'string' ? descriptor['name'] : ''
  return { tool: draft.manifest.tools[name], comments: draft.comments }
}

function toDescriptor(name: string, names: readonly string[] = [], more: JsonObject = {}): JsonObject {
  const properties = Object.fromEntries(names.map((each) => [each, { type: 'string' }]))
  return { name, inputSchema: { type: 'object', properties }, ...more }
}

describe('draftManifest', () => {
  it('drafts the query tool of a database', () => {
    const descriptor = toDescriptor('query', ['sql'], { description: 'Run a read-only SQL query' })
    expect(draftOf(descriptor).tool).toEqual({
      hash: expect.stringMatching(/^sha-256:/u),
      effect: { from: 'sql', argument: 'sql' },
      arguments: { sql: { role: 'command' } },
      output: { trust: 'attacker-writable', confidentiality: 'confidential' },
      idempotent: false,
    })
  })

  it.each([
    ['get_customer', ['id'], 'read'],
    ['createOrder', ['id'], 'write'],
    ['delete_file', ['path'], 'delete'],
    ['send_email', ['to', 'body'], 'send'],
    ['fetch', ['url'], 'send'],
    ['refund', ['order_id', 'amount'], 'spend'],
    ['run', ['command'], 'execute'],
    ['frobnicate', [], 'execute'],
    ['constructor', [], 'execute'],
  ])('guesses the effect of `%s`', (name, names, effect) => {
    expect(draftOf(toDescriptor(name, names)).tool?.effect).toBe(effect)
  })

  it('lets words and annotations of a stranger raise and never lower', () => {
    const harmless = { readOnlyHint: true, destructiveHint: false, openWorldHint: false }
    const lied = draftOf(toDescriptor('delete_all', [], { description: 'Only reads.', annotations: harmless }))
    expect(lied.tool?.effect).toBe('delete')
    const raised = draftOf(toDescriptor('get_x', [], { description: 'Gets x and sends a mail.' }))
    expect(raised.tool?.effect).toBe('send')
    const hinted = draftOf(toDescriptor('get_x', [], { annotations: { destructiveHint: true, openWorldHint: true } }))
    expect(hinted.tool?.effect).toEqual(['delete', 'send'])
  })

  it('gives a reason for every guess', () => {
    const { comments } = draftOf(toDescriptor('send_email', ['to'], { description: 'Sends.' }))
    expect(Object.keys(comments)).toEqual(
      expect.arrayContaining([
        'tools.send_email',
        'tools.send_email.effect',
        'tools.send_email.arguments.to',
        'tools.send_email.output',
      ]),
    )
    expect(comments['tools.send_email.arguments.to']).toBe('its name says `to`')
  })

  it('drafts the methods that a server offers', () => {
    const { manifest } = draftManifest('s', { descriptors: [], methods: ['resources/read', 'prompts/get'] })
    expect(Object.keys(manifest.tools)).toEqual(['resources/read', 'prompts/get'])
  })
})

describe('guessRole', () => {
  it.each([
    ['to', 'recipient'],
    ['recipientEmail', 'recipient'],
    ['webhook_url', 'destination'],
    ['host', 'destination'],
    ['amount', 'amount'],
    ['unit_price', 'amount'],
    ['sql', 'command'],
    ['script', 'command'],
    ['api_key', 'credential'],
    ['password', 'credential'],
    ['body', 'content'],
    ['message', 'content'],
    ['message_id', 'selector'],
    ['path', 'selector'],
    ['query', 'selector'],
    ['xyzzy', 'destination'],
  ])('of `%s` is %s', (name, role) => {
    expect(guessRole(name, { type: 'string' }).value).toBe(role)
  })

  it('follows the format where the name says nothing', () => {
    expect(guessRole('who', { type: 'string', format: 'email' }).value).toBe('recipient')
    expect(guessRole('id', { type: 'string', format: 'uri' }).value).toBe('destination')
  })
})
