import { describe, expect, it } from 'vitest'
import { runEffectsSql } from './effects.ts'

async function run(...lines: string[]): Promise<unknown[]> {
  const written: string[] = []
  async function* source(): AsyncGenerator<string> {
    yield* lines
  }
  await runEffectsSql(source(), (line) => written.push(line))
  return written.map((line): unknown => JSON.parse(line))
}

describe('unbearer effects sql', () => {
  it('answers each line in order', async () => {
    const answers = await run(
      '{"id":"a","input":"SELECT * FROM t WHERE id = 1"}',
      '{"id":2,"input":"COMMIT; DROP TABLE t"}',
      '',
      '{"id":3,"input":"SELEC"}',
    )
    expect(answers).toEqual([
      { id: 'a', effect: 'read', objects: ['t'], bounded: true, reversible: true, destinations: [], why: ['reads'] },
      expect.objectContaining({ id: 2, effect: 'admin', objects: ['t'], bounded: false, reversible: false }),
      expect.objectContaining({
        id: 3,
        effect: 'refused',
        objects: ['*'],
        destinations: ['*'],
        why: ['cannot be parsed'],
      }),
    ])
  })

  it('refuses lines that it cannot read', async () => {
    const answers = await run('not json', '{"id":5}', '{"id":6,"input":["SELECT 1"]}', '[]', 'null')
    expect(answers).toMatchObject(
      [5, 6]
        .reduce((all: unknown[], id) => [...all, { id, effect: 'refused' }], [{ id: null, effect: 'refused' }])
        .concat([{ id: null }, { id: null }]),
    )
  })
})
