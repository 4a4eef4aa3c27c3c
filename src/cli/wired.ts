/**
 * @module
 * Commands whose whole work is elsewhere: the demonstration and the effects of statements.
 */
import { isUtf8 } from 'node:buffer'

import type { Answer, Call, Command } from './command.ts'

export const demoCommand: Command = {
  words: 'demo',
  usage: '[--yes]',
  summary: 'a hijacked agent against a bearer token, and against Unbearer',
  about: [
    'Runs the four attacks of the article twice, side by side, on a real database behind a real MCP server: token theft,',
    'drift, injection, no revocation. Needs nothing but this machine; what it needs beyond this package it names, asks for and',
    'fetches by npm. Exit code 1 if anything harmful got through.',
  ].join('\n'),
  example: 'unbearer demo',
  options: [{ name: 'yes', about: 'fetch what is missing without asking' }],
  operands: [0, 0],
  run: demo,
}

export const effectsCommand: Command = {
  words: 'effects sql',
  usage: '< STATEMENTS.ndjson',
  summary: 'say what SQL statements would do',
  about: [
    'Reads one `{"id","input"}` a line and answers one `{"id","effect","objects","bounded","reversible","destinations","why"}`',
    'a line, in order. `effect` is of the lattice, or `refused`. Never under-reports: what cannot be proven is the worst case.',
  ].join('\n'),
  example: `echo '{"id":1,"input":"DELETE FROM orders"}' | unbearer effects sql`,
  options: [],
  operands: [0, 0],
  run: effects,
}

async function demo(call: Call): Promise<Answer> {
  const { runDemo } = await import('./demo/main.ts')
  const exit = await runDemo({ json: call.json, yes: call.flag('yes') })
  return { exit: exit === 0 ? 0 : exit === 1 ? 1 : 2 }
}

async function effects(): Promise<Answer> {
  const { runEffectsSql } = await import('./effects.ts')
  await runEffectsSql(readLines(process.stdin), (line) => process.stdout.write(`${line}\n`))
  return { exit: 0 }
}

/** Lines as they come. `readline` would drop those that arrive before anybody listens. */
async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
      yield toText(rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
  }
  if (rest.length > 0) yield toText(rest)
}

/** Bytes that are not UTF-8 become lone surrogates, which no text may hold, so that they are not judged as something else. */
function toText(line: Uint8Array): string {
  const text = new TextDecoder().decode(line)
  return isUtf8(line) ? text : text.replaceAll('\uFFFD', '\uD800')
}
