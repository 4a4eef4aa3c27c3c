import { describe, expect, it } from 'vitest'
import { z } from 'zod'

import { createHostTask, currentTask, type HostTask } from '../../index.ts'
import { createScriptedPep, type ScriptedPep } from '../../testing/index.ts'
import { guardTools, toToolDescriptors } from './index.ts'
import { readSchema, toGuardedSchema } from './schema.ts'

const OWN = (): null => null
const INTENT = 'read: the user asked for record r1'

function createTask(pep: ScriptedPep): HostTask {
  const task = {
    txn: 't',
    principal: { type: 'user', id: 'alice' },
    openedBy: { role: 'host' },
    openedAt: 0,
    expires: Number.MAX_SAFE_INTEGER,
  } as const
  return createHostTask({ pep, task, agent: { name: 'agent', jkt: 'jkt' }, claimCall: async () => true })
}

interface Ran {
  readonly pep: ScriptedPep
  readonly ran: unknown[]
  readonly result: unknown
}

async function execute(inputSchema: unknown, input: unknown): Promise<Ran> {
  const pep = createScriptedPep()
  const ran: unknown[] = []
  const tool = { description: 'Does it.', inputSchema, execute: (args: unknown) => ran.push(args) }
  const tools = guardTools(createTask(pep), { it: tool }, { upstream: 'kit' })
  const run = async (): Promise<unknown> => Reflect.apply(tools.it.execute, undefined, [input])
  return { pep, ran, result: await run().catch((fault: unknown) => fault) }
}

describe('the schema that the model is shown', () => {
  it('has the intent first and required, for Zod, Standard Schema and JSON Schema', () => {
    const schemas = [
      z.object({ id: z.string() }),
      () => z.object({ id: z.string() }),
      {
        [Symbol.for('vercel.ai.schema')]: true,
        jsonSchema: { type: 'object', properties: { id: {} }, required: ['id'] },
      },
    ]
    for (const inputSchema of schemas) {
      const tools = guardTools(currentTask, { it: { inputSchema, execute: () => null } }, { upstream: 'kit' })
      const shown: unknown = Reflect.get(Object(tools.it.inputSchema), 'jsonSchema')
      expect(shown).toMatchObject({ required: ['unbearer_intent', 'id'] })
      expect(JSON.stringify(shown)).toMatch(/"properties":\{"unbearer_intent":.*"id":/)
    }
  })

  it('gives the operator the descriptor without it', () => {
    const tools = guardTools(
      currentTask,
      { it: { description: 'Does it.', inputSchema: z.object({ id: z.string() }), execute: () => null } },
      { upstream: 'kit' },
    )
    expect(JSON.stringify(toToolDescriptors(tools))).not.toContain('unbearer_intent')
    expect(toToolDescriptors(tools)[0]?.name).toBe('it')
  })

  it('passes on what it was given, and refuses what the own schema refuses', async () => {
    const schema = toGuardedSchema({}, readSchema('it', z.object({ id: z.string().transform((id) => `${id}!`) })))
    const given = { id: 'r1', unbearer_intent: INTENT }
    expect(await schema.validate(given)).toEqual({ success: true, value: given })
    expect(await schema.validate({ id: 1, unbearer_intent: INTENT })).toMatchObject({ success: false })
  })

  it.each([
    ['none', undefined],
    ['a promise', { [Symbol.for('vercel.ai.schema')]: true, jsonSchema: Promise.resolve({}) }],
    ['no JSON Schema', { '~standard': { validate: () => ({}) } }],
    ['the name of the intent', z.object({ unbearer_intent: z.string() })],
  ])('refuses to start for a schema with %s', (_name, inputSchema) => {
    const tools = { it: { inputSchema, execute: () => null } }
    expect(() => guardTools(currentTask, tools, { upstream: 'kit' })).toThrow(/schema/i)
  })
})

describe('what is decided is what is run', () => {
  it('decides defaults and transformations too, applied once', async () => {
    const schema = z.object({ id: z.string().transform((id) => `${id}!`), force: z.boolean().default(true) })
    const { pep, ran, result } = await execute(schema, { id: 'r1', unbearer_intent: INTENT })
    expect(pep.requests[0]?.action.body['arguments']).toEqual({ id: 'r1!', force: true })
    expect(ran).toEqual([{ id: 'r1!', force: true }])
    expect(result).toBe(1)
  })

  it.each([
    ['a date', z.object({ id: z.string().transform((id) => new Date(id)) })],
    ['a map', z.object({ id: z.string().transform((id) => new Map([[id, 1]])) })],
  ])('runs nothing for %s, which nobody could have decided', async (_name, inputSchema) => {
    const { pep, ran, result } = await execute(withJson(inputSchema), { id: '2026-01-01', unbearer_intent: INTENT })
    expect(result).toMatchObject({ reason: 'system.malformed' })
    expect([pep.requests.length, ran.length]).toEqual([0, 0])
  })

  it('applies the schema to whoever calls `execute` directly', async () => {
    const { pep, ran, result } = await execute(z.object({ id: z.string() }), { id: 7, unbearer_intent: INTENT })
    expect(result).toMatchObject({ reason: 'system.malformed' })
    expect([pep.requests.length, ran.length]).toEqual([0, 0])
  })

  it('keeps the implementation out of reach of whoever holds the guarded tool', () => {
    const tools = guardTools(currentTask, { it: { inputSchema: z.object({}), execute: OWN } }, { upstream: 'kit' })
    expect(Object.values(tools.it)).not.toContain(OWN)
    expect(() => guardTools(currentTask, tools, { upstream: 'kit' })).toThrow('guarded already')
  })
})

/** A schema whose output JSON Schema cannot say, as one writes it for the AI SDK. */
function withJson(schema: z.ZodType): object {
  return {
    [Symbol.for('vercel.ai.schema')]: true,
    jsonSchema: { type: 'object', properties: { id: { type: 'string' } } },
    validate: (value: unknown) => ({ success: true, value: schema.parse(value) }),
  }
}
