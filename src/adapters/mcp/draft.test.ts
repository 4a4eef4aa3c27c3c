import { describe, expect, it } from 'vitest'

import type { JsonObject } from '../../index.ts'
import { draftManifest } from './draft.ts'
import { guessRole } from './guess-role.ts'

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

  it('takes a word for what it does only where a verb stands', () => {
    expect(draftOf(toDescriptor('get_pull_request_comments')).tool?.effect).toBe('read')
    expect(draftOf(toDescriptor('add_issue_comment')).tool?.effect).toEqual(['write', 'send'])
    expect(
      draftOf(toDescriptor('get_x', [], { description: 'Never deletes. Lists the orders to pay.' })).tool?.effect,
    ).toBe('spend')
    expect(draftOf(toDescriptor('get_x', [], { description: 'Shows x of a commit, tag or order' })).tool?.effect).toBe(
      'read',
    )
  })

  it('takes a thing for what a tool shows only where the description agrees', () => {
    expect(draftOf(toDescriptor('directory_tree', [], { description: 'Get a view of files' })).tool?.effect).toBe(
      'read',
    )
    expect(draftOf(toDescriptor('kill_tree', [], { description: 'Get rid of it' })).tool?.effect).toBe('delete')
    expect(draftOf(toDescriptor('directory_tree', [], { description: 'Fells it' })).tool?.effect).toBe('execute')
  })

  it('says what is undetermined, and assumes anything of it', () => {
    const draft = draftManifest('s', {
      descriptors: [toDescriptor('frobnicate', [], { annotations: { destructiveHint: true, openWorldHint: true } })],
      methods: [],
    })
    expect(draft.undetermined).toEqual(['frobnicate'])
    expect(draft.manifest.tools['frobnicate']?.effect).toEqual(['send', 'execute'])
    expect(draft.comments['']).toContain('LOOK HERE FIRST: frobnicate')
  })

  it('leaves out what all names of a server begin with', () => {
    const names = ['run_status', 'run_list', 'run_get', 'run_frob', 'run_x']
    const { manifest } = draftManifest('s', { descriptors: names.map((name) => toDescriptor(name)), methods: [] })
    expect(manifest.tools['run_list']?.effect).toBe('read')
    expect(manifest.tools['run_frob']?.effect).toBe('execute')
  })

  it('goes into what arguments hold', () => {
    const items = {
      type: 'object',
      properties: { url: { type: 'string' }, text: { type: 'string' }, n: { type: 'number' } },
    }
    const descriptor = {
      name: 'add',
      inputSchema: { type: 'object', properties: { entries: { type: 'array', items } } },
    }
    expect(draftOf(descriptor).tool?.arguments).toEqual({
      entries: { role: 'destination' },
      'entries/*/url': { role: 'destination' },
      'entries/*/text': { role: 'content' },
      'entries/*/n': { role: 'selector' },
    })
  })

  it('labels outputs down to fields, and lowers nothing', () => {
    const outputSchema = {
      type: 'object',
      properties: {
        rows: {
          type: 'array',
          items: { type: 'object', properties: { note: { type: 'string' }, apiToken: {}, id: { type: 'number' } } },
        },
      },
    }
    const { tool, comments } = draftOf({ ...toDescriptor('get_rows'), outputSchema })
    expect(tool?.output).toEqual({
      trust: 'attacker-writable',
      confidentiality: 'confidential',
      fields: { 'rows[].note': { trust: 'attacker-writable' }, 'rows[].apiToken': { confidentiality: 'secret' } },
    })
    expect(comments['tools.get_rows.output.fields.rows[].apiToken']).toContain('token')
    expect(draftOf(toDescriptor('get_env')).tool?.output.confidentiality).toBe('secret')
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
    ['filesToStage', 'destination'],
    ['accessKey', 'credential'],
    ['press_key', 'selector'],
    ['assignees', 'recipient'],
  ])('of `%s` is %s', (name, role) => {
    expect(guessRole(name, { type: 'string' }).value).toBe(role)
  })

  it('follows the format where the name says nothing', () => {
    expect(guessRole('who', { type: 'string', format: 'email' }).value).toBe('recipient')
    expect(guessRole('id', { type: 'string', format: 'uri' }).value).toBe('destination')
  })
})
