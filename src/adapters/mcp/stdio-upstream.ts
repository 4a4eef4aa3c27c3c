/**
 * @module
 * A tool server as a child process that speaks newline-delimited JSON (MCP "stdio"). One process for each MCP session.
 * It gets a minimal environment, no shell, a process group of its own, and ends with the gateway.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'
import { ConfigError, UnavailableError, type JsonObject } from '../../index.ts'
import { createLineReader } from './lines.ts'
import { parseServerMessage, toServerAnswer, type ServerMessage } from './message.ts'
import { toServerDisposition } from './methods.ts'
import { createPendingCalls, type PendingCalls } from './pending-calls.ts'
import type { UpstreamConfig } from './types.ts'
import {
  createNumbering,
  toAborted,
  type CallOptions,
  type ConnectionOptions,
  type NumberedRequest,
  type UpstreamAnswer,
  type UpstreamConnection,
} from './upstream.ts'

const STDERR_BYTES = 8192
/** So many of the largest messages may wait for a server to read them. */
const UNREAD = 4
/** Milliseconds between the polite and the final signal. */
const GRACE = 2000

const groups = new Set<number>()
let isHooked = false

/** Starts the command. A command that cannot be started fails the first call. */
export function createStdioConnection(config: UpstreamConfig, options: ConnectionOptions): UpstreamConnection {
  const child = start(config)
  const calls = createPendingCalls(options)
  const ring = createRing()
  const number = createNumbering()
  let open = true
  const end = (message: string): void => {
    if (open) {
      options.onProblem('system.upstream', message)
      options.health?.failed()
    }
    open = false
    calls.failAll(message)
  }
  const write = (message: JsonObject): void => {
    if (!open) return
    // A server that asks, or is called, and does not read fills no memory of ours.
    if (child.stdin.writableLength > UNREAD * options.limit)
      return leave('the tool server does not read what it is sent')
    child.stdin.write(`${JSON.stringify(message)}\n`)
  }
  const leave = (message: string): void => {
    end(message)
    stop(child).catch(() => undefined)
  }
  child.on('error', () => end('the command could not be started'))
  child.on('exit', (code) => end(`the tool server ended with code ${code ?? 'none'}`))
  child.stdin.on('error', () => end('the tool server stopped reading'))
  child.stderr.on('data', (chunk: Buffer) => {
    ring.push(chunk)
    config.onStderr?.(chunk)
  })
  child.stdout.on('data', readLines(options, calls, write, leave))
  return {
    call: (request, callOptions) => {
      if (!open) return Promise.reject(new UnavailableError('the tool server has ended'))
      const numbered = number(request)
      callOptions.onNumbered?.(numbered.id)
      return call(calls, write, numbered, callOptions)
    },
    notify: (method, params) => {
      write({ jsonrpc: '2.0', method, ...(params === undefined ? {} : { params }) })
      return Promise.resolve()
    },
    agree: () => undefined,
    isOpen: () => open,
    isReady: () => open,
    stderr: () => ring.text(),
    close: () => {
      open = false
      calls.failAll('the connection was closed')
      return stop(child)
    },
  }
}

function start(config: UpstreamConfig): ChildProcessWithoutNullStreams {
  const [file, ...args] = config.command ?? []
  if (file === undefined) throw new ConfigError(`upstream \`${config.name}\` has neither a command nor a url`)
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(file, args, {
    ...(config.cwd === undefined ? {} : { cwd: config.cwd }),
    // Marked, so that a command for people can tell that it was started from here and refuse a passphrase.
    env: { PATH, HOME, ...config.env, UNBEARER_SPAWNED: '1' },
    stdio: 'pipe',
    shell: false,
    detached: true,
  })
  if (child.pid !== undefined) hold(child.pid)
  child.once('exit', () => release(child.pid))
  return child
}

/** Remembers a process group, so that it is killed even where nobody closed the gateway. */
function hold(pid: number): void {
  groups.add(pid)
  if (isHooked) return
  isHooked = true
  process.on('exit', () => [...groups].forEach(release))
}

/** Kills what is left of a group; whatever the leader started must not outlive it. */
function release(pid: number | undefined): void {
  if (pid === undefined || !groups.delete(pid)) return
  signalGroup(pid, 'SIGKILL')
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // The group is gone already, which is what was wanted.
  }
}

async function stop(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.stdin.end()
  signalGroup(child.pid, 'SIGTERM')
  const timer = new AbortController()
  await Promise.race([exited, wait(GRACE, undefined, { signal: timer.signal, ref: false }).catch(() => undefined)])
  timer.abort()
  release(child.pid)
}

function call(
  calls: PendingCalls,
  write: (message: JsonObject) => void,
  request: NumberedRequest,
  options: CallOptions,
): Promise<UpstreamAnswer> {
  // Also a call that was given up while its credential was redeemed must not be written.
  if (options.signal.aborted) return Promise.reject(toAborted())
  const cancel = (): void =>
    write({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: request.id } })
  const answer = calls.add(request.id, options, cancel)
  write({ jsonrpc: '2.0', id: request.id, method: request.method, params: request.params })
  return answer
}

function readLines(
  options: ConnectionOptions,
  calls: PendingCalls,
  write: (message: JsonObject) => void,
  leave: (message: string) => void,
): (chunk: Uint8Array) => void {
  // A line that cannot be read may have been the answer to any call, so that every call fails.
  const broken = (message: string): void => {
    options.onProblem('system.upstream', message)
    calls.failAll(message)
  }
  return createLineReader(options.limit, {
    onLine: (line) => {
      const message = parseServerMessage(line)
      if (message !== undefined) receive(message, options, calls, write)
      else if (line.startsWith('{') || line.startsWith('['))
        broken('the tool server sent a message that cannot be read')
    },
    onBroken: broken,
    onEndless: () => leave('the tool server sent a line without an end'),
  })
}

function receive(
  message: ServerMessage,
  options: ConnectionOptions,
  calls: PendingCalls,
  write: (message: JsonObject) => void,
): void {
  if (message.kind === 'response') return calls.settle(message)
  const disposition = toServerDisposition(message.method)
  if (message.kind === 'request') return write(toServerAnswer(message.id, disposition === 'answer'))
  if (disposition === 'signal') options.onSignal(message)
  if (disposition === 'label') calls.notify(message)
}

function createRing(): { push(chunk: Buffer): void; text(): string } {
  let kept = Buffer.alloc(0)
  return {
    push: (chunk) => {
      kept = Buffer.concat([kept, chunk]).subarray(-STDERR_BYTES)
    },
    text: () => kept.toString('utf8'),
  }
}
