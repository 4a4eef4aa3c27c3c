/**
 * @module
 * What is decided is what is run, whatever the arguments, the options or the result do while nobody looks. Seen to fall: with
 * the arguments passed on as they came, with the options kept by reference, with the result not made JSON before its label.
 */
import { describe, expect, it } from 'vitest'

import { createHostTask, type HostTask, type JsonObject } from '../index.ts'
import { createScriptedPep, type ScriptedPep } from '../testing/index.ts'
import { guardTool, type GuardedTool, type GuardToolOptions } from './guard-tool.ts'

interface Scene {
  readonly pep: ScriptedPep
  readonly task: HostTask
  readonly ran: JsonObject[]
  readonly options: { -readonly [Key in keyof GuardToolOptions]: GuardToolOptions[Key] }
}

function createScene(): Scene {
  const pep = createScriptedPep()
  const ran: JsonObject[] = []
  const task = createHostTask({
    pep,
    task: {
      txn: 'toctou',
      principal: { type: 'user', id: 'alice' },
      actor: 'agent',
      openedBy: { role: 'host' },
      openedAt: 0,
      expires: Number.MAX_SAFE_INTEGER,
    },
    agent: { name: 'agent', jkt: 'agent' },
    claimCall: async () => true,
  })
  const schema = { type: 'object', properties: { path: { type: 'string' } } }
  const execute = (args: JsonObject): string => {
    ran.push(args)
    return 'done'
  }
  return { pep, task, ran, options: { task, upstream: 'files', name: 'read', description: 'reads', schema, execute } }
}

/** Something else each time that it is looked at. */
function toChanging(): object {
  let looked = 0
  return Object.defineProperty({}, 'path', { enumerable: true, get: () => `/${(looked += 1)}` })
}

function toCircle(): object {
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  return circle
}

async function* count(): AsyncGenerator<string, string> {
  yield 'partial'
  return 'final'
}

async function outcomeOf(guarded: GuardedTool, args: unknown): Promise<string> {
  const result = await guarded.call(args)
  return result.kind === 'performed' ? 'performed' : result.refusal.reason
}

describe('the arguments', () => {
  it.each([
    ['a getter', toChanging],
    [
      'a proxy',
      () => new Proxy({ path: '' }, { get: (_target, key) => (key === 'path' ? `/${Math.random()}` : undefined) }),
    ],
    ['a toJSON', () => ({ path: '/seen', toJSON: () => ({ path: '/decided' }) })],
  ])('with %s are read once', async (_name, make) => {
    const { pep, ran, options } = createScene()
    expect(await outcomeOf(guardTool(options), make())).toBe('performed')
    expect(ran).toEqual(pep.requests.map(({ action }) => action.body['arguments']))
  })

  it('that change while the decision is made are run as decided', async () => {
    const { pep, ran, options } = createScene()
    pep.script = 'late'
    pep.hold()
    const args = { path: '/ok', deep: { path: '/ok' } }
    const running = guardTool(options).call(args)
    args.path = '/etc/shadow'
    args.deep.path = '/etc/shadow'
    pep.release()
    await running
    expect(ran).toEqual([{ path: '/ok', deep: { path: '/ok' } }])
  })

  it.each([
    ['a prototype', JSON.parse('{"path":"/ok","__proto__":{"admin":true}}')],
    ['no JSON', { path: 1n }],
    ['a circle', toCircle()],
    ['text', 'path=/ok'],
  ])('with %s are refused', async (_name, args) => {
    const { ran, options } = createScene()
    expect(await outcomeOf(guardTool(options), args)).toBe('system.malformed')
    expect(ran).toEqual([])
  })
})

describe('the options', () => {
  it('are those at the time, whoever changes them later', async () => {
    const { pep, ran, options } = createScene()
    const guarded = guardTool(options)
    options.execute = () => ran.push({ path: 'another implementation' })
    options.upstream = 'another'
    Reflect.deleteProperty(Object(options.schema['properties']), 'path')
    expect(await outcomeOf(guarded, { path: '/ok' })).toBe('performed')
    expect(ran).toEqual([{ path: '/ok' }])
    expect(pep.requests[0]?.context.upstream).toBe('files')
    expect(guarded.descriptor.inputSchema['properties']).toEqual({ path: { type: 'string' } })
  })

  it('do not give the implementation away', () => {
    const guarded = guardTool(createScene().options)
    expect(JSON.stringify(Object.keys(guarded))).not.toContain('execute')
    expect(() => Object.assign(guarded, { call: async () => 'leak' })).toThrow(TypeError)
  })
})

describe('a result', () => {
  it('that says something else each time is released as it was labelled', async () => {
    const { pep, options } = createScene()
    options.execute = toChanging
    const result = await guardTool(options).call({})
    const released = JSON.stringify(result.kind === 'performed' && [result.output])
    expect(released).toBe(JSON.stringify(pep.labelled))
  })

  it('that is a promise of a generator is read to its end first', async () => {
    const { pep, options } = createScene()
    options.execute = async () => Promise.resolve(count())
    await guardTool(options).call({})
    expect(pep.labelled).toEqual(['final'])
  })
})
