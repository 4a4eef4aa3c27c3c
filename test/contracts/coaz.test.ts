/**
 * @module
 * The AuthZEN engine in the words of COAZ, against a decision point whose policies were written for them: ours, over HTTP.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { parseListen } from '../../src/config/load.ts'
import { servePdp, type ServingPdp } from '../../src/config/serve-pdp.ts'
import { createAuthzenEngine } from '../../src/engines/authzen.ts'
import type { Engine, JsonObject } from '../../src/index.ts'
import { toDocument } from '../fixtures/engine-request.ts'

const POLICIES = `
@id("call")
permit (principal == identity::"alice", action == Action::"tools/call", resource == tool::"query")
when { context.claimed.context.agent == "support" };
@id("statement")
permit (principal == identity::"alice", action == Action::"run", resource == statement::"select 1");
@id("log")
permit (principal == identity::"alice", action == Action::"log", resource == statement::"select 1");
`
const dir = mkdtempSync(join(tmpdir(), 'unbearer-coaz-'))
const subject = { type: 'identity', id: '$token.sub' }
const statement = { type: 'statement', id: '$params.arguments.sql' }

const both = (name: string): JsonObject => ({
  evaluations: { subject, resource: statement, evaluations: [{ action: { name: 'run' } }, { action: { name } }] },
})

describe('an engine that asks by COAZ', () => {
  let pdp: ServingPdp
  const engines: Engine[] = []
  beforeAll(async () => {
    writeFileSync(join(dir, 'p.cedar'), POLICIES)
    writeFileSync(join(dir, 'e.ndjson'), '')
    pdp = await servePdp({
      policies: dir,
      entities: join(dir, 'e.ndjson'),
      listening: { listen: parseListen('127.0.0.1:0', false) },
      trustClaims: false,
      report: (where, fault) => console.error(where, fault),
    })
  })
  afterAll(async () => {
    await Promise.all(engines.map(async (engine) => engine.close()))
    await pdp.close()
    rmSync(dir, { recursive: true, force: true })
  })

  async function outcome(mapping: JsonObject | undefined, tool = 'orders/query'): Promise<string> {
    const mappings = mapping === undefined ? {} : { [tool]: mapping }
    const coaz = { audience: 'https://mcp.invalid', strict: true, mappings }
    const engine = await createAuthzenEngine({ url: pdp.origin, timeoutMs: 5_000, coaz })
    engines.push(engine)
    return (await engine.evaluate(toDocument())).outcome
  }

  it('asks about the tool, where nothing was mapped for it', async () => {
    expect(await outcome(undefined)).toBe('permit')
    expect(await outcome({ evaluation: { subject, action: { name: 'other' }, resource: statement } }, 'orders/x')).toBe(
      'permit',
    )
  })

  it('asks what an operator has mapped', async () => {
    expect(await outcome({ evaluation: { subject, action: { name: 'run' }, resource: statement } })).toBe('permit')
    expect(await outcome({ evaluation: { subject, action: { name: 'drop' }, resource: statement } })).toBe('deny')
  })

  it('permits several evaluations only together', async () => {
    expect(await outcome(both('log'))).toBe('permit')
    expect(await outcome(both('drop'))).toBe('deny')
  })

  it('denies where a mapping does not fit the arguments', async () => {
    const unfit = { type: 'statement', id: '$params.arguments.query' }
    expect(await outcome({ evaluation: { subject, action: { name: 'run' }, resource: unfit } })).toBe('error')
    expect(
      await outcome({
        evaluation: { subject: { type: 'identity', id: 'alice2' }, action: { name: 'run' }, resource: statement },
      }),
    ).toBe('error')
  })
})
