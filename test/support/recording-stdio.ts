/**
 * @module
 * The tool server over stdio. Each call is one line of the file that the first argument names, written before it is
 * answered, so that it is there whoever is killed next. `slow_*` tools never answer.
 */
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

import { isJsonObject, parseJson } from '../../src/index.ts'
import { createToolServer } from './tools.ts'

const [, , file = ''] = process.argv
const note = (line: object): void => appendFileSync(file, `${JSON.stringify(line)}\n`)
const server = createToolServer({ onCall: note, onNotification: (method) => note({ method }) })

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = parseJson(line)
  if (isJsonObject(message)) server.receive(message, (answer) => process.stdout.write(`${answer}\n`))
})
