/**
 * @module
 * The demo's other processes: each of its actors is a process of its own, so that nobody shares memory or keys.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { extname, join } from 'node:path'

import { UnavailableError } from '../../index.ts'
import type { AgentSaw, AgentStart } from './agent.ts'
import type { ScriptedCall } from './steps.ts'
import type { Loot, TheftReport } from './thief.ts'

/** `.js` when installed, `.ts` when run from source. */
const SUFFIX: string = extname(import.meta.filename)

/** The path of another program of this package, by its path below `cli/`. */
export function toProgram(name: string): string {
  return join(import.meta.dirname, '..', `${name}${SUFFIX}`)
}

export interface AgentProcess {
  call(call: ScriptedCall): Promise<AgentSaw>
  close(): Promise<void>
}

/** Starts the agent. It gets its own credentials and the address of its gateway, and no more. */
export function startAgent(start: AgentStart): AgentProcess {
  const child = fork(toProgram('demo/agent'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] })
  child.send(start)
  return {
    async call(call) {
      const answer = nextMessage<AgentSaw>(child)
      child.send({ kind: 'call', call })
      return answer
    },
    async close() {
      if (child.exitCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.send({ kind: 'close' })
      const late = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await gone
      clearTimeout(late)
    },
  }
}

/** Runs the thief over its loot. */
export async function runThief(loot: Loot): Promise<TheftReport> {
  const child = fork(toProgram('demo/thief'), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] })
  const report = nextMessage<TheftReport>(child)
  child.send(loot)
  return report
}

/** The next IPC message; rejects when the process ends first. */
async function nextMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onExit = (): void => reject(new UnavailableError('a process of the demo ended early'))
    child.once('exit', onExit)
    child.once('message', (message: unknown) => {
      child.off('exit', onExit)
      if (isOurs<T>(message)) resolve(message)
      else reject(new UnavailableError('a process of the demo said something unexpected'))
    })
  })
}

/** Both ends of the channel are ours, of one version. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller names what it waits for
function isOurs<T>(message: unknown): message is T {
  return typeof message === 'object' && message !== null
}
