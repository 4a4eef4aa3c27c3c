/**
 * @module
 * `unbearer ready`: for supervisors that ask by a command, in an image that has no other.
 */
import { request as askPlain, type IncomingMessage } from 'node:http'
import { request as askTls, type RequestOptions } from 'node:https'
import { setTimeout } from 'node:timers/promises'

import { parseDuration } from '../config/durations.ts'
import type { Config } from '../config/load.ts'
import { UnavailableError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import { isJsonArray } from '../core/pointer.ts'
import { parseJson } from '../core/parse-json.ts'
import { toText, type Answer, type Call, type Command } from './command.ts'

export const readyCommand: Command = {
  words: 'ready',
  usage: '[--wait TIME]',
  summary: 'ask the server of this configuration whether it is ready',
  about: [
    'Asks /readyz at the address of the configuration, on this machine: exit code 0 when it takes requests, 1 when it says why',
    'not (it is stopping, the disk takes no commit, an engine does not answer), 2 when nobody answers within four seconds,',
    'or another installation does.',
    'With `--wait` it asks again until the server is ready or the time is over, for whoever has just started one.',
    'For health checks. It signs nothing, and does not verify whose certificate answers: it learns no more than yes or no.',
  ].join('\n'),
  example: ['unbearer ready --config /var/lib/unbearer/unbearer.yaml', 'unbearer ready --wait 30s'].join('\n'),
  options: [{ name: 'wait', value: 'TIME', about: 'how long to wait for it, for example `30s` (default: not at all)' }],
  operands: [0, 0],
  run: ready,
}

const WAIT_MS = 4_000
const MOST_BYTES = 65_536

/** How often it is asked while waiting, in milliseconds. */
const AGAIN_MS = 200

async function ready(call: Call): Promise<Answer> {
  const { loadConfig } = await import('../config/load.ts')
  const config = await loadConfig(call.config)
  const wait = call.text('wait')
  const until = performance.now() + (wait === undefined ? 0 : parseDuration(wait, '`--wait`'))
  for (;;) {
    const isLast = performance.now() >= until
    try {
      const answer = await askOnce(config)
      if (answer.exit === 0 || isLast) return answer
    } catch (fault) {
      if (isLast) throw fault
    }
    await setTimeout(AGAIN_MS)
  }
}

async function askOnce(config: Config): Promise<Answer> {
  const { status, text } = await ask(config)
  const answer = readAnswer(text)
  const issuer = isJsonObject(answer) ? answer['issuer'] : undefined
  if (typeof issuer === 'string' && issuer !== config.issuer)
    throw new UnavailableError('another installation answers at the address of the configuration: set another `listen`')
  const problems = isJsonObject(answer) && isJsonArray(answer['problems']) ? answer['problems'] : []
  const isReady = status === 200
  return {
    exit: isReady ? 0 : 1,
    json: { ready: isReady, problems: [...problems] },
    text: isReady ? 'ready' : `not ready: ${problems.map(toText).join(', ')}`,
  }
}

function readAnswer(text: string): ReturnType<typeof parseJson> {
  try {
    return parseJson(text)
  } catch {
    return null
  }
}

/** Wherever it listens, it also listens here; every address of this machine stands for all of them. */
function toAddress({ listen, tls }: Config): RequestOptions {
  const everywhere: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }
  const host = everywhere[listen.host] ?? listen.host
  const options = { host, port: listen.port, path: '/readyz', timeout: WAIT_MS, headers: { host: 'localhost' } }
  // Nothing is sent and no more than yes or no is learnt; who could answer here instead could as well stop the server.
  return tls === undefined ? options : { ...options, rejectUnauthorized: false }
}

async function ask(config: Config): Promise<{ readonly status: number; readonly text: string }> {
  const send = config.tls === undefined ? askPlain : askTls
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = send(toAddress(config), resolve)
      request.once('timeout', () => request.destroy(new Error('no answer')))
      request.once('error', reject)
      request.end()
    })
    const chunks: Buffer[] = []
    const body: AsyncIterable<Buffer> = response
    for await (const chunk of body) if (Buffer.concat(chunks).length < MOST_BYTES) chunks.push(chunk)
    return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }
  } catch (cause) {
    throw new UnavailableError('nobody answers at the address of the configuration', { cause })
  }
}
