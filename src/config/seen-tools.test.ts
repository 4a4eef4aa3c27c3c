import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { hashOf } from '../core/bind.ts'
import type { JsonObject } from '../core/json.ts'
import { UNDETERMINED, type ServerManifest, type ToolManifest } from '../core/manifest.ts'
import { listSeen, readSeen, rememberTools, toChangedParts, toStanding, type SeenTool } from './seen-tools.ts'

const was: JsonObject = { name: 'a', description: 'one', inputSchema: { type: 'object' } }
const now: JsonObject = { ...was, description: 'two', annotations: {} }

function nameOf({ name }: JsonObject): string {
  return typeof name === 'string' ? name : ''
}

function toManifest(...descriptors: readonly JsonObject[]): ServerManifest {
  const tools = descriptors.map((each): [string, ToolManifest] => [
    nameOf(each),
    { hash: hashOf(each), effect: 'read', arguments: {}, output: UNDETERMINED, idempotent: false },
  ])
  return { server: 's', tools: Object.fromEntries(tools) }
}

function toSeen(descriptor: JsonObject): SeenTool {
  return { name: nameOf(descriptor), descriptor, hash: hashOf(descriptor) }
}

let dir = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-seen-'))
})

afterEach(() => rmSync(dir, { recursive: true }))

describe('what sessions saw', () => {
  it('knows the accepted form from an earlier session', async () => {
    expect((await rememberTools(dir, toManifest(was), [toSeen(was)])).changes).toEqual([])
    const { changes } = await rememberTools(dir, toManifest(was), [toSeen(now)])
    expect(changes).toEqual([{ tool: 'a', change: 'changed', was, now }])
    expect(changes.map(toChangedParts)).toEqual([['description', 'annotations']])
    expect(await listSeen(dir)).toMatchObject([{ server: 's', changes: [{ tool: 'a', was, now }] }])
  })

  it('tells what was added, and what is gone', async () => {
    const other = { ...was, name: 'b' }
    const { changes } = await rememberTools(dir, toManifest(was), [toSeen(other)])
    expect(changes).toEqual([
      { tool: 'b', change: 'added', now: other },
      { tool: 'a', change: 'removed' },
    ])
  })

  it('is over once somebody accepted it', async () => {
    const seen = await rememberTools(dir, toManifest(was), [toSeen(now)])
    expect(toStanding(seen, toManifest(was)).changes).toHaveLength(1)
    expect(toStanding(seen, toManifest(now)).changes).toHaveLength(0)
    expect(toStanding(seen, undefined).changes).toHaveLength(1)
  })

  it('believes no accepted form that does not hash to its pin', async () => {
    await rememberTools(dir, toManifest(was), [toSeen(was)])
    const file = join(dir, '.seen', 's.json')
    writeFileSync(file, readFileSync(file, 'utf8').replace('one', 'another'))
    const { changes } = await rememberTools(dir, toManifest(was), [toSeen(now)])
    expect(changes).toEqual([{ tool: 'a', change: 'changed', now }])
  })

  it.each(['', '[]', '{"server":1}', '{"server":"s","accepted":{"a":1},"changes":[{"tool":2}]}'])(
    'takes %j for nothing',
    async (text) => {
      await rememberTools(dir, toManifest(was), [toSeen(was)])
      writeFileSync(join(dir, '.seen', 's.json'), text)
      const seen = await readSeen(dir, 's')
      expect(seen?.changes ?? []).toEqual([])
      expect(Object.keys(seen?.accepted ?? {})).toEqual([])
    },
  )
})
