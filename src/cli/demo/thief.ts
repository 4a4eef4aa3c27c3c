/**
 * @module
 * The thief's process: has every byte that the agent sent, and nothing else. Replays it as it was, then builds calls of its
 * own from what it found: the credential with a body of its own, and a session of its own.
 */
import { connect } from 'node:net'

import { DESTROY } from './steps.ts'

/** One captured request, base64, as it came over IPC. */
export interface Loot {
  readonly origin: string
  readonly requests: readonly string[]
}

export interface TheftReport {
  readonly attempts: readonly {
    readonly what: string
    readonly status: number
    readonly reason?: string
    readonly ran: boolean
  }[]
}

interface Answer {
  readonly status: number
  readonly session: string | undefined
  readonly body: string
}

/** Sends raw bytes and reads one answer; the connection is the thief's own. */
async function send(origin: string, raw: Buffer): Promise<Answer> {
  const { hostname, port } = new URL(origin)
  const text = await new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(Number(port), hostname, () => socket.write(withClose(raw)))
    socket.setTimeout(10_000, () => socket.destroy(new Error('the gateway did not answer')))
    socket.on('data', (chunk: Buffer) => void chunks.push(chunk))
    socket.on('error', reject)
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('utf8')))
  })
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? '0')
  return { status, session: /\r\nmcp-session-id: *([^\r]+)/i.exec(text)?.[1], body: text }
}

/** Only `Connection` is changed, which no proof covers, so that the answer ends. */
function withClose(raw: Buffer): Buffer {
  const end = raw.indexOf('\r\n\r\n')
  const head = raw
    .subarray(0, end)
    .toString('latin1')
    .replace(/\r\nconnection: [^\r]*/i, '')
  return Buffer.concat([Buffer.from(`${head}\r\nConnection: close`, 'latin1'), raw.subarray(end)])
}

/** The captured head with another body, and without the headers in `drop`. */
function forge(raw: Buffer, body: object, drop: readonly string[]): Buffer {
  const text = JSON.stringify({ jsonrpc: '2.0', ...body })
  const head = raw.subarray(0, raw.indexOf('\r\n\r\n')).toString('latin1')
  const gone = [...drop, 'content-length', 'transfer-encoding']
  const kept = head.split('\r\n').filter((line) => !gone.includes(line.split(':')[0]?.toLowerCase() ?? ''))
  return Buffer.from(`${[...kept, `Content-Length: ${Buffer.byteLength(text)}`].join('\r\n')}\r\n\r\n${text}`, 'latin1')
}

const INITIALIZE = {
  id: 900,
  method: 'initialize',
  params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'thief', version: '1' } },
}

const CALL = {
  id: 901,
  method: 'tools/call',
  params: {
    name: 'query',
    arguments: { unbearer_intent: 'read: the user asked for the e-mail of customer 42', sql: DESTROY },
  },
}

function toAttempt(what: string, { status, body }: Answer): TheftReport['attempts'][number] {
  const reason = /"reason":"([a-z.-]+)"/.exec(body)?.[1]
  const ran = status === 200 && body.includes('"result"') && !/"isError":true/.test(body)
  return { what, status, ran, ...(reason === undefined ? {} : { reason }) }
}

async function steal({ origin, requests }: Loot): Promise<TheftReport> {
  const captured = requests.map((one) => Buffer.from(one, 'base64'))
  const attempts: TheftReport['attempts'][number][] = []
  for (const raw of captured) attempts.push(toAttempt('replay as it was', await send(origin, raw)))
  const calls = captured.filter((raw) => raw.includes('"tools/call"') && raw.includes('/mcp/shop'))
  const raw = calls.at(-1)
  if (raw === undefined) return { attempts }
  attempts.push(toAttempt('captured headers, own statement', await send(origin, forge(raw, CALL, []))))
  const unsigned = ['signature', 'signature-input', 'content-digest']
  attempts.push(toAttempt('captured credential, no signature', await send(origin, forge(raw, CALL, unsigned))))
  const opened = await send(origin, forge(raw, INITIALIZE, [...unsigned, 'mcp-session-id']))
  attempts.push(toAttempt('captured credential, own session', opened))
  if (opened.session !== undefined) {
    const own = Buffer.from(
      forge(raw, CALL, [...unsigned, 'mcp-session-id'])
        .toString('latin1')
        .replace('\r\n', `\r\nMcp-Session-Id: ${opened.session}\r\n`),
      'latin1',
    )
    attempts.push(toAttempt('own session, own statement', await send(origin, own)))
  }
  return { attempts }
}

function isLoot(value: unknown): value is Loot {
  return typeof value === 'object' && value !== null && 'requests' in value
}

process.once('message', (message: unknown) => {
  if (!isLoot(message)) process.exit(2)
  steal(message).then(
    (report) => process.send?.(report, () => process.exit(0)),
    () => process.exit(1),
  )
})

// Whoever started us is gone.
process.on('disconnect', () => process.exit(0))
