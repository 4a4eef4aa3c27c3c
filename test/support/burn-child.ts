/**
 * @module
 * A process that burns in a file, for races between processes: takes `{id, times}`, answers how often it was the first.
 */
import { sqliteBurns } from '../../src/http/sqlite-burns.ts'

interface Asked {
  readonly id: string
  readonly times: number
}

const burns = await sqliteBurns(process.argv[2] ?? '')
process.on('message', ({ id, times }: Asked) => {
  const expires = Date.now() + 60_000
  Promise.all(Array.from({ length: times }, async () => burns.burn(id, expires))).then(
    (answers) => process.send?.(answers.filter(Boolean).length),
    () => process.send?.(-1),
  )
})
process.send?.('open')
