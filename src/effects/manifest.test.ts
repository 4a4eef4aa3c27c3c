import { describe, expect, it } from 'vitest'
import { toKinds, WORST } from '../core/effect.ts'
import type { JsonObject } from '../core/json.ts'
import type { ToolFacts, ToolManifest } from '../core/manifest.ts'
import { createEffectComputer } from './manifest.ts'

const computer = await createEffectComputer()
const TOOL: ToolManifest = {
  hash: 'sha-256:x',
  effect: 'read',
  arguments: {},
  output: { trust: 'internal', confidentiality: 'internal' },
  idempotent: false,
}
const accepted = (tool: Partial<ToolManifest>): ToolFacts => ({
  status: 'accepted',
  tool: { ...TOOL, ...tool },
  manifest: 'm',
})
const compute = (tool: Partial<ToolManifest> | ToolFacts, args: JsonObject = {}) =>
  computer.compute({ method: 'tools/call', name: 't', arguments: args }, 'status' in tool ? tool : accepted(tool))

describe('effects by the manifest', () => {
  it('assumes the worst of a tool that nobody knows', () => {
    expect(compute({ status: 'unknown' })).toMatchObject({ effect: WORST, source: 'undetermined', objects: ['*'] })
  })

  it.each(['unaccepted', 'changed'] as const)('counts a tool that is %s as one that executes', (status) => {
    const report = compute({ status, tool: TOOL, manifest: 'm' })
    expect(toKinds(report.effect)).toEqual(['read', 'execute'])
    expect(report).toMatchObject({ bounded: false, reversible: false, objects: ['*'], destinations: ['*'] })
  })

  it('takes what the manifest says', () => {
    expect(compute({})).toMatchObject({ effect: { level: 'read', beside: [] }, bounded: true, reversible: true })
    expect(compute({ effect: ['write', 'send', 'delete'] })).toMatchObject({
      effect: { level: 'delete', beside: ['send'] },
      bounded: false,
      reversible: false,
      destinations: ['*'],
    })
    expect(compute({ effect: 'write', bounded: true, reversible: true })).toMatchObject({
      bounded: true,
      reversible: true,
    })
    expect(compute({ effect: [] }).effect).toEqual(WORST)
  })

  it('finds objects in selectors and destinations in destinations and recipients', () => {
    const tool: Partial<ToolManifest> = {
      effect: 'send',
      arguments: {
        to: { role: 'recipient' },
        'hook/url': { role: 'destination' },
        id: { role: 'selector' },
        body: { role: 'content' },
      },
    }
    const args = {
      to: ['Bob@EXAMPLE.com', ['eve@evil.example']],
      hook: { url: 'HTTPS://user:secret@Evil.Example:443/a/../b?key=1#x' },
      id: 42,
      body: 'x',
    }
    const report = compute(tool, args)
    expect(report.destinations).toEqual(['Bob@example.com', 'eve@evil.example', 'https://evil.example/b'])
    expect(report.objects).toEqual(['42'])
    expect(compute(tool, { ...args, bcc: 'x@evil.example' }).destinations).toContain('x@evil.example')
    expect(compute(tool, { ...args, id: 'x'.repeat(1_000) }).objects).toEqual(['*'])
    expect(compute(tool, { ...args, hook: { url: 'mailto://' } }).destinations).toContain('*')
  })

  it('parses the SQL in an argument', () => {
    const tool: Partial<ToolManifest> = {
      effect: { from: 'sql', argument: 'sql' },
      arguments: { sql: { role: 'command' } },
    }
    expect(compute(tool, { sql: 'DROP TABLE customers' })).toMatchObject({
      effect: { level: 'delete', beside: [] },
      objects: ['customers'],
      destinations: [],
      source: 'parser',
    })
    expect(toKinds(compute(tool, { sql: 'COMMIT' }).effect)).toEqual(['read', 'admin'])
    for (const sql of [undefined, null, 1, ['SELECT 1'], { sql: 'SELECT 1' }]) {
      expect(compute(tool, { sql }).effect).toEqual(WORST)
    }
    expect(compute({ ...tool, effect: { from: 'sql', argument: 'constructor' } }).effect).toEqual(WORST)
  })

  it('finds the argument by a pointer', () => {
    for (const argument of ['/query/text', 'query/text']) {
      const report = compute({ effect: { from: 'sql', argument } }, { query: { text: 'SELECT 1' } })
      expect(report.effect).toEqual({ level: 'read', beside: [] })
    }
  })
})
