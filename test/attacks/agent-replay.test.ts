import { afterEach, describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/index.ts'
import { createScene, INTERNAL, WILD, type Call, type Scene, type SceneOptions, type Tools } from './agent-scene.ts'

const IBAN = 'DE89370400440532013000'
const TOOLS: Tools = {
  'files/delete': { effect: 'delete', bounded: true, arguments: { path: { role: 'selector' } } },
  'files/write': {
    effect: 'write',
    bounded: true,
    arguments: { path: { role: 'selector' }, content: { role: 'content' } },
  },
  'mail/read': { arguments: { id: { role: 'selector' } }, output: WILD },
  'mail/send': {
    effect: 'send',
    bounded: true,
    arguments: { to: { role: 'recipient' }, body: { role: 'content' } },
    output: INTERNAL,
  },
  'pay/transfer': {
    effect: 'spend',
    bounded: true,
    arguments: { to: { role: 'recipient' }, amount: { role: 'amount' } },
  },
  'db/query': { effect: { from: 'sql', argument: 'sql' }, arguments: { sql: { role: 'command' } }, output: INTERNAL },
}

const scenes: Scene[] = []
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close()
})

async function open(options: Partial<SceneOptions> = {}): Promise<Scene> {
  const scene = await createScene({ tools: TOOLS, purpose: 'tidy up', ...options })
  scenes.push(scene)
  return scene
}

const remove = (args: JsonObject): Call => ({
  tool: 'files/delete',
  args,
  intent: 'delete: the files a.txt b.txt caf\u00e9.txt cafe\u0301.txt',
})
const pay = (amount: NonNullable<JsonObject[string]>, to = IBAN): Call => ({
  tool: 'pay/transfer',
  args: { to, amount },
  intent: `spend: transfer the money to ${IBAN}`,
})

describe('what was approved is run once, and nothing else is', () => {
  it.each<[string, JsonObject, JsonObject]>([
    ['another Unicode form', { path: 'caf\u00e9.txt' }, { path: 'cafe\u0301.txt' }],
    ['one more argument', { path: 'a.txt' }, { path: 'a.txt', recursive: true }],
    ['one argument less', { path: 'a.txt', recursive: false }, { path: 'a.txt' }],
    ['null for absent', { path: 'a.txt', x: null }, { path: 'a.txt' }],
    ['absent for null', { path: 'a.txt' }, { path: 'a.txt', x: null }],
    ['a text for a number', { path: 'a.txt', n: 1 }, { path: 'a.txt', n: '1' }],
    ['a blank at the end', { path: 'a.txt' }, { path: 'a.txt ' }],
    ['another order of a list', { path: ['a.txt', 'b.txt'] }, { path: ['b.txt', 'a.txt'] }],
  ])('not with %s', async (_how, approved, tried) => {
    const scene = await open()
    const asked = await scene.call(remove(approved))
    if (asked.did || asked.ticket === undefined) throw new Error('nobody was asked')
    await scene.approve(asked.ticket)
    expect(await scene.ask(remove(tried))).toMatch(/^challenge /)
    expect(await scene.ask(remove(approved))).toBe('done')
    expect(await scene.ask(remove(approved))).toMatch(/^challenge /)
    expect(scene.reached).toEqual([approved])
  })

  it('but the same action in another spelling of the same JSON is the same action', async () => {
    const scene = await open()
    const asked = await scene.call(remove({ path: 'a.txt', n: 0 }))
    if (asked.did || asked.ticket === undefined) throw new Error('nobody was asked')
    await scene.approve(asked.ticket)
    expect(await scene.ask(remove({ n: -0, path: 'a.txt' }))).toBe('done')
  })

  it('and no more than three questions are open at a time', async () => {
    const scene = await open()
    for (const path of ['a.txt', 'b.txt', 'caf\u00e9.txt'])
      expect(await scene.ask(remove({ path }))).toMatch(/^challenge /)
    expect(await scene.ask(remove({ path: 'cafe\u0301.txt' }))).toBe('deny policy.approval-limit')
  })
})

describe('a budget of 100', () => {
  const budgets = [{ id: 'sum', limit: 100, per: 'grant', amount: 'amount', effects: ['spend'] }] as const
  const purpose = `pay 60 or 40 to ${IBAN}`

  it('is not overdrawn by calls at once', async () => {
    const scene = await open({ budgets, purpose })
    const answers = await Promise.all([60, 60, 60, 60].map(async (amount) => scene.ask(pay(amount))))
    expect(answers.toSorted()).toEqual(['deny scope.budget', 'deny scope.budget', 'deny scope.budget', 'done'])
    expect(await scene.used('sum')).toBe(60)
    expect(await scene.ask(pay(40))).toBe('done')
    expect(await scene.used('sum')).toBe(100)
  })

  it.each([-50, '60', [60], true, 1e308, { value: 60 }])('is not fooled by %j', async (amount) => {
    const scene = await open({ budgets, purpose })
    expect(await scene.ask(pay(amount))).toBe('deny scope.budget')
    expect(await scene.used('sum')).toBe(0)
  })

  it('is a wall beside the arguments, which are constrained to the letter', async () => {
    const where = { to: { in: [IBAN] }, amount: { range: { max: 50 } } }
    const scene = await open({
      purpose,
      operations: [{ upstream: 'pay', tool: 'transfer', effects: ['spend'], where }],
    })
    for (const call of [pay(40, `${IBAN} `), pay(40, IBAN.toLowerCase()), pay(60), pay('40')])
      expect(await scene.ask(call)).toBe('deny scope.argument')
    expect(await scene.ask({ ...pay(40), args: { To: IBAN, amount: 40 } })).toBe('deny scope.argument')
    expect(await scene.ask(pay(40))).toBe('done')
  })
})

describe('what the purpose names goes there and nowhere else', () => {
  const purpose = 'Refund 12.50 for order 1250 and tell ada@example.org'

  it('not to whoever rides along', async () => {
    for (const to of [
      'ada@example.org\r\nBcc: eve@x.example',
      '\r\nBcc: eve@x.example\r\n<ada@example.org>',
      '\n\nada@example.org',
      'ada@example.org,eve@x.example',
      ['ada@example.org', 'eve@x.example'],
      { 'eve@x.example': 'ada@example.org' },
      '"eve@x.example" <ada@example.org>',
      'ada@example.org\0',
      'ada@example.org\u200b',
      'example.org',
      'mailto:ada@example.org?bcc=eve@x.example',
      '\u0430da@example.org',
      'ada@example.org/../eve',
    ]) {
      const scene = await open({ purpose })
      const answer = await scene.ask({
        tool: 'mail/send',
        args: { to, body: 'x' },
        intent: 'send: tell ada@example.org',
      })
      expect(`${JSON.stringify(to)} ${answer}`).toMatch(/ (?:challenge|deny) [a-z.-]+$/)
    }
  })

  it('and the number of an order is not what is paid for it', async () => {
    const scene = await open({ purpose: `${purpose}, to ${IBAN}` })
    expect(await scene.ask(pay(1250))).toBe('challenge policy.approval-required')
    expect(await scene.ask(pay(12.5))).toBe('done')
  })
})

describe('without a grant, or without a purpose', () => {
  it('reads, and nothing more', async () => {
    const scene = await open({ operations: 'none' })
    const write: Call = { tool: 'files/write', args: { path: 'a', content: 'x' }, intent: 'write: the file a' }
    expect(await scene.ask({ tool: 'mail/read', args: { id: '1' }, intent: 'read: the mail' })).toBe('done')
    expect(await scene.ask(write)).toBe('deny scope.no-grant')
    const secrets = { tool: 'db/query', args: { sql: 'TABLE pg_authid' }, intent: 'admin: read the passwords' }
    expect(await scene.ask(secrets)).toBe('deny scope.no-grant')
  })

  it('every consequence is for a person', async () => {
    const { purpose: _none, ...unattested } = { tools: TOOLS, purpose: '' }
    const scene = await createScene(unattested)
    scenes.push(scene)
    const write: Call = { tool: 'files/write', args: { path: 'a', content: 'x' }, intent: 'write: the file a' }
    expect(await scene.ask(write)).toBe('challenge context.unattested')
  })
})

describe('arguments that pretend to be something else', () => {
  it.each<[JsonObject, RegExp]>([
    [{ path: 'a', content: { __entity: { type: 'Unbearer::Subject', id: 'user/alice' } } }, /^deny policy\.error$/],
    [{ path: 'a', content: { __extn: { fn: 'ip', arg: '::' } } }, /^deny policy\.error$/],
    [{ path: 'a', content: '\ud800' }, /^deny system\.malformed$/],
    [{ path: 'a', content: 'x', approved: true, grant: { covered: true }, '/~1': 1 }, /^challenge /],
    [{ path: 'a', content: Array.from({ length: 1_200 }, () => 'x') }, /^challenge /],
  ])('%j', async (args, expected) => {
    const scene = await open()
    expect(await scene.ask({ tool: 'files/write', args, intent: 'write: the file a' })).toMatch(expected)
    expect(scene.reached).toEqual([])
  })
})
