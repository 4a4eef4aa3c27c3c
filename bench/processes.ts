/**
 * @module
 * The server processes of the bench, one for each server, so that the CPU of the client is not counted.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { UnavailableError } from '../src/index.ts'
import type { Order, ServerStart, Usage } from './server.ts'

const PROGRAM = fileURLToPath(new URL('./server.ts', import.meta.url))

export interface ServerProcess {
  readonly pid: number | undefined
  readonly port: number
  usage(): Promise<Usage>
  /** How long the tool in this process takes from now on. */
  setDelay(delayMs: number): Promise<void>
  close(): Promise<void>
}

/** Starts a server and waits until it listens. Throws `UnavailableError` with what the server said. */
export async function startServer(start: ServerStart): Promise<ServerProcess> {
  const child = fork(PROGRAM, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] })
  try {
    const started = await ask(child, start)
    if (!('port' in started)) throw new UnavailableError(`\`${start.kind}\` did not start`)
    return {
      pid: child.pid,
      port: Number(started.port),
      usage: async () => toUsage(await ask(child, { ask: 'usage' })),
      setDelay: async (delayMs) => void (await ask(child, { ask: 'delay', delayMs })),
      close: async () => close(child),
    }
  } catch (cause) {
    child.kill('SIGKILL')
    throw cause
  }
}

/** Sends one message and waits for its answer; one is under way at a time. */
async function ask(child: ChildProcess, message: ServerStart | Order): Promise<object> {
  const answer = await new Promise<unknown>((resolve, reject) => {
    const gone = (): void => reject(new UnavailableError('a server of the bench ended'))
    child.once('exit', gone)
    child.once('message', (received) => {
      child.off('exit', gone)
      resolve(received)
    })
    child.send(message)
  })
  if (typeof answer !== 'object' || answer === null) throw new UnavailableError('a server of the bench said nothing')
  if ('fault' in answer) throw new UnavailableError(`a server of the bench failed: ${String(answer.fault)}`)
  return answer
}

function toUsage(answer: object): Usage {
  if ('cpuUs' in answer && 'ran' in answer) return { cpuUs: Number(answer.cpuUs), ran: Number(answer.ran) }
  throw new UnavailableError('a server of the bench does not know what it used')
}

async function close(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await ask(child, { ask: 'close' }).catch(() => undefined)
  if (child.connected) child.disconnect()
  await gone
  clearTimeout(late)
}
