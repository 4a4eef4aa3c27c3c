/**
 * @module
 * The tool of the bench as a stdio MCP server: one message a line.
 */
import { createInterface } from 'node:readline'

import { answerMessage } from './tool.ts'

createInterface({ input: process.stdin }).on('line', (line) => {
  answerMessage(Buffer.from(line)).then(
    ({ body }) => void (body === '' || process.stdout.write(`${body}\n`)),
    (fault: unknown) => process.stderr.write(`bench: ${fault instanceof Error ? fault.message : 'failed'}\n`),
  )
})
