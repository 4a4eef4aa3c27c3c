/**
 * @module
 * The four roads to one tool: over stdio and over HTTP, each direct and through Unbearer. On a road calls are closed loops: a
 * client sends its next call when it has the answer to the last, and every answer is looked at.
 */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { appendFile, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { UnavailableError } from '../src/index.ts'
import { createPlainCaller, createSigningCaller, type BenchCaller } from './callers.ts'
import { assertDone, toCall, UPSTREAM } from './calls.ts'
import { createInstallation } from './installation.ts'
import { fire } from './load.ts'
import { startServer, type ServerProcess } from './processes.ts'

export type Way = 'direct' | 'through'
export type Transport = 'stdio' | 'http'

export interface Road {
  readonly transport: Transport
  readonly way: Way
  /** Makes `calls` calls from `clients` closed loops. Milliseconds of each, and seconds over all. Throws at a wrong answer. */
  run(clients: number, calls: number): Promise<{ readonly latencies: readonly number[]; readonly seconds: number }>
  /** MiB of resident memory of the process under measurement: the gateway, or direct the tool. NaN where it cannot be read. */
  memory(): number
  close(): Promise<void>
}

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
const TOOL = [process.execPath, fileURLToPath(new URL('./mcp-stdio.ts', import.meta.url))] as const
/** Milliseconds without an answer after which a server counts as stuck. */
const PATIENCE = 30_000
/** Requests made whole ahead of a batch; a signed one is good for a minute. */
const BATCH = 2_000

let lastSeq = 0

function nextCall(): { readonly seq: number; readonly body: string } {
  lastSeq += 1
  return { seq: lastSeq, body: toCall('read', lastSeq) }
}

function readMemory(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid ?? 0}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1024
  } catch {
    return Number.NaN
  }
}

interface Lines {
  ask(id: string | number, line: string): Promise<string>
  tell(line: string): void
}

/** A client of newline-delimited JSON that does as little as possible: the id of an answer is found, and nothing parsed. */
function createLines(child: ChildProcessWithoutNullStreams): Lines {
  const waiting = new Map<string, PromiseWithResolvers<string>>()
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const id = /"id":("[^"]*"|\d+)/.exec(line)?.[1] ?? ''
      waiting.get(id)?.resolve(line)
      waiting.delete(id)
    }
  })
  child.once('exit', () => {
    for (const { reject } of waiting.values()) reject(new UnavailableError('the server of the bench ended'))
  })
  return {
    tell: (line) => void child.stdin.write(`${line}\n`),
    async ask(id, line) {
      const answer = Promise.withResolvers<string>()
      waiting.set(JSON.stringify(id), answer)
      const late = setTimeout(() => answer.reject(new UnavailableError('no answer in time')), PATIENCE)
      child.stdin.write(`${line}\n`)
      return answer.promise.finally(() => clearTimeout(late))
    },
  }
}

async function initialize(lines: Lines): Promise<void> {
  const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'bench', version: '1' } }
  await lines.ask('i', JSON.stringify({ jsonrpc: '2.0', id: 'i', method: 'initialize', params }))
  lines.tell(JSON.stringify({ jsonrpc: '2.0', method: 'notifications/initialized' }))
}

async function openStdio(way: Way, command: readonly string[], env: NodeJS.ProcessEnv): Promise<Road> {
  const [file = '', ...args] = command
  const child = spawn(file, args, { env, stdio: 'pipe' })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4_000)))
  const lines = createLines(child)
  const gone = new Promise((resolve) => child.once('exit', resolve))
  await initialize(lines).catch((cause: unknown) => {
    child.kill('SIGKILL')
    throw new UnavailableError(`\`${way}\` over stdio did not start: ${said}`, { cause })
  })
  const loop = async (calls: number, latencies: number[]): Promise<void> => {
    for (let done = 0; done < calls; done += 1) {
      const { seq, body } = nextCall()
      const sent = performance.now()
      const answer = await lines.ask(seq, body)
      latencies.push(performance.now() - sent)
      assertDone(`stdio ${way}`, seq, 200, answer)
    }
  }
  return {
    transport: 'stdio',
    way,
    async run(clients, calls) {
      const latencies: number[] = []
      const started = performance.now()
      await Promise.all(Array.from({ length: clients }, async () => loop(Math.ceil(calls / clients), latencies)))
      return { latencies, seconds: (performance.now() - started) / 1000 }
    },
    memory: () => readMemory(child.pid),
    async close() {
      child.stdin.end()
      const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await gone
      clearTimeout(late)
    },
  }
}

/**
 * `unbearer mcp` as a client would start it, with an installation in `dir`. Its limits are raised to what a load test needs, and
 * the anomaly threshold with them: the load itself is unusual for any agent. Everything is computed all the same.
 */
export async function openStdioThrough(dir: string): Promise<Road> {
  const state = join(dir, 'state')
  await mkdir(state, { recursive: true })
  const env = { ...process.env, XDG_STATE_HOME: state, HOME: dir }
  const wrapped = [process.execPath, MAIN, 'mcp', '--name', UPSTREAM, '--', ...TOOL]
  // The first start makes the installation.
  await (await openStdio('through', wrapped, env)).close()
  const config = join(state, 'unbearer', UPSTREAM, 'unbearer.yaml')
  const text = readFileSync(config, 'utf8').replace(
    /^limits: .*$/mu,
    'limits: { deadline: 10s, decisionsPerMinute: 10000000 }',
  )
  await writeFile(config, text)
  await appendFile(config, 'anomaly: { falsePositivesPerTask: 0.000000001 }\n')
  return openStdio('through', wrapped, env)
}

export async function openStdioDirect(): Promise<Road> {
  return openStdio('direct', TOOL, process.env)
}

function openHttp(way: Way, server: ServerProcess, callers: readonly BenchCaller[], close: () => Promise<void>): Road {
  const batch = async (clients: number, each: number) => {
    const lanes = await Promise.all(
      callers.slice(0, clients).map(async (caller) => {
        const lane = []
        for (let index = 0; index < each; index += 1) {
          const { seq, body } = nextCall()
          lane.push({ seq, bytes: await caller.prepare(body) })
        }
        return lane
      }),
    )
    const fired = await fire(server.port, lanes)
    for (const { seq, answer } of fired.answers) assertDone(`http ${way}`, seq, answer.status, answer.body)
    return fired
  }
  return {
    transport: 'http',
    way,
    async run(clients, calls) {
      const latencies: number[] = []
      let seconds = 0
      for (let left = Math.ceil(calls / clients); left > 0;) {
        const each = Math.min(left, Math.ceil(BATCH / clients))
        const fired = await batch(clients, each)
        // Not by spreading: a hundred thousand arguments are too many.
        for (const one of fired.latencies) latencies.push(one)
        seconds += fired.seconds
        left -= each
      }
      return { latencies, seconds }
    },
    memory: () => readMemory(server.pid),
    close,
  }
}

/** Direct and through side by side, in front of one tool service, for up to `clients` clients: agents of their own. */
export async function openHttpRoads(dir: string, clients: number): Promise<readonly [Road, Road]> {
  const tool = await startServer({ kind: 'none' })
  const { config, agents } = await createInstallation(
    join(dir, 'gateway'),
    clients,
    `http://127.0.0.1:${tool.port}/mcp`,
  )
  const gateway = await startServer({ kind: 'unbearer-gateway', config })
  const signing = await Promise.all(agents.map(async (agent) => createSigningCaller(gateway.port, agent, true)))
  const plain = agents.map(() => createPlainCaller(tool.port))
  return [
    openHttp('direct', tool, plain, async () => tool.close()),
    openHttp('through', gateway, signing, async () => gateway.close()),
  ]
}
