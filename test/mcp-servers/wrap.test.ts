/**
 * The official servers, wrapped by one command in front of the official client: lists and reads are what they are without it, what
 * changes something is held, and the draft tells what it does not know.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { draftManifest } from '../../src/adapters/mcp/draft.ts'
import { scanTools } from '../../src/adapters/mcp/scan.ts'
import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { createHome, type Connected, type Home } from '../support/wrapped-client.ts'

const installed = await installFramework(import.meta.dirname)

interface Official {
  readonly name: string
  /** Tools of which the draft says that nothing told what they do. */
  readonly undetermined: readonly string[]
  readonly reads: readonly (readonly [tool: string, given: JsonObject])[]
  readonly change?: readonly [tool: string, given: JsonObject, intent: string]
}

const data = mkdtempSync(join(tmpdir(), 'unbearer-official-'))
writeFileSync(join(data, 'a.txt'), 'a text\n')
const path = join(data, 'a.txt')

const SERVERS: readonly Official[] = [
  {
    name: 'filesystem',
    undetermined: [],
    reads: [
      ['read_text_file', { path }],
      ['list_directory', { path: data }],
      ['get_file_info', { path }],
    ],
    change: ['write_file', { path, content: 'another' }, `write, delete: the user asked to rewrite ${path}`],
  },
  {
    name: 'memory',
    undetermined: ['open_nodes'],
    reads: [
      ['read_graph', {}],
      ['search_nodes', { query: 'x' }],
    ],
    change: ['create_entities', { entities: [{ name: 'n', entityType: 't', observations: [] }] }, 'write: remember n'],
  },
  {
    name: 'everything',
    undetermined: ['gzip-file-as-resource'],
    reads: [
      ['echo', { message: 'hello' }],
      ['get-sum', { a: 2, b: 3 }],
      ['get-tiny-image', {}],
      ['get-structured-content', { location: 'Chicago' }],
    ],
  },
  { name: 'sequential-thinking', undetermined: ['sequentialthinking'], reads: [] },
]

describe.skipIf(installed === undefined).each(SERVERS)('server-$name', ({ name, undetermined, reads, change }) => {
  const command = [
    process.execPath,
    join(installed ?? '', 'node_modules', '.bin', `mcp-server-${name}`),
    ...(name === 'filesystem' ? [data] : []),
  ]
  const env = { PATH: process.env['PATH'] ?? '', MEMORY_FILE_PATH: join(data, 'memory.json') }
  let home: Home
  let at: Connected
  let direct: Client

  beforeAll(async () => {
    home = createHome(command, env)
    at = await home.connect()
    direct = new Client({ name: 'claude-desktop', version: '1' })
    const [program = '', ...args] = command
    await direct.connect(new StdioClientTransport({ command: program, args, env, stderr: 'ignore' }))
  })

  afterAll(async () => {
    await at.close()
    await direct.close()
    home.remove()
  })

  it('lists the same tools, but for the intent', async () => {
    const [guarded, plain] = await Promise.all([at.client.listTools(), direct.listTools()])
    expect(guarded.tools.map(({ name: tool }) => tool)).toEqual(plain.tools.map(({ name: tool }) => tool))
    expect(guarded.tools.map(({ description }) => description)).toEqual(
      plain.tools.map(({ description }) => description),
    )
    const schemas = guarded.tools.map(({ inputSchema }) => withoutIntent(JSON.parse(JSON.stringify(inputSchema))))
    expect(schemas).toEqual(
      plain.tools.map(({ inputSchema }) => withoutIntent(JSON.parse(JSON.stringify(inputSchema)))),
    )
  })

  it.skipIf(reads.length === 0)('answers reads with the same', async () => {
    for (const [tool, given] of reads) {
      const unbearer_intent = 'read: the user asked to look at this'
      const guarded = await at.client.callTool({ name: tool, arguments: { ...given, unbearer_intent } })
      expect([tool, guarded]).toEqual([tool, await direct.callTool({ name: tool, arguments: { ...given } })])
    }
  })

  it.skipIf(change === undefined)('holds what changes something', async () => {
    const [tool, given, unbearer_intent] = change ?? ['', {}, '']
    expect((await at.call(tool, { ...given, unbearer_intent })).text).toContain('held (')
    expect(readFileSync(path, 'utf8')).toBe('a text\n')
  })

  it('has a draft that says what it does not know, and where to look', async () => {
    const [program = '', ...args] = command
    const scanned = await scanTools({ upstream: { command: [program, ...args], env } })
    const draft = draftManifest(name, scanned)
    expect(draft.undetermined).toEqual(undetermined)
    expect(draft.suspicions).toEqual([])
  })
})

afterAll(() => rmSync(data, { recursive: true, force: true }))

/** The schema without the argument that the gateway adds, and without what it makes explicit. */
function withoutIntent(schema: Json): Json {
  if (!isJsonObject(schema)) return schema
  const { unbearer_intent: _intent, ...properties } = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const names: readonly Json[] = Array.isArray(schema['required']) ? schema['required'] : []
  return { ...schema, properties, required: names.filter((each) => each !== 'unbearer_intent') }
}
