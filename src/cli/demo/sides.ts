/**
 * @module
 * The two sides of the demo: the same tool servers behind a gateway with a static bearer token, and behind Unbearer, which
 * is set up here as an operator would: by the commands of the README.
 */
import { randomBytes } from 'node:crypto'
import { execFile, spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import { draftManifest } from '../../adapters/mcp/draft.ts'
import { scanTools } from '../../adapters/mcp/scan.ts'
import { toManifestYaml } from '../../config/manifest.ts'
import { UnavailableError } from '../../index.ts'
import type { AgentCredentials } from './agent.ts'
import { startBearerGateway, toPort } from './bearer-gateway.ts'
import type { Step } from './steps.ts'
import { toProgram } from './processes.ts'

const run = promisify(execFile)

/** The name of the demo's installation in what it signs. */
const ISSUER = 'https://unbearer-demo.invalid'

export interface Side {
  /** Where the agent's gateway is. */
  readonly origin: string
  /** The file to which this side's outbox server writes. */
  readonly outbox: string
  /** What the agent gets for a step. */
  credentials(step: Step): Promise<AgentCredentials>
  /** The operator stops the agent, as well as this side can. */
  stopAgent(): Promise<void>
  close(): Promise<void>
}

export interface UnbearerSide extends Side {
  /** Stops serving and verifies the log as an auditor would. */
  verifyLog(): Promise<{ readonly entries: number; readonly verified: boolean }>
}

/** The commands of the tool servers, one list each. */
export interface ToolServers {
  readonly shop: readonly string[]
  readonly outbox: readonly string[]
}

/** Tool servers that differ only in the file to which messages go. */
export function toToolServers(postgresServer: string, databaseUri: string, outbox: string): ToolServers {
  return {
    shop: [process.execPath, postgresServer, databaseUri],
    outbox: [process.execPath, toProgram('demo/outbox-server'), outbox],
  }
}

/** How many messages left, and to whom. */
export function readOutbox(file: string): readonly string[] {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => {
    const message: unknown = JSON.parse(line)
    const hasTo = typeof message === 'object' && message !== null && 'to' in message
    return hasTo ? String(message.to) : ''
  })
}

export async function startBearerSide(servers: ToolServers, outbox: string): Promise<Side> {
  const bearer = randomBytes(24).toString('base64url')
  const gateway = await startBearerGateway({ ...servers }, bearer)
  return {
    origin: gateway.url,
    outbox,
    credentials: async () => ({ bearer }),
    // The operator ends the agent's login. The token that it was given is good until it expires, and nobody asks.
    stopAgent: async () => undefined,
    close: async () => gateway.close(),
  }
}

/** Sets up an installation in `dir` with the commands of the README and serves it. */
export async function startUnbearerSide(dir: string, servers: ToolServers, outbox: string): Promise<UnbearerSide> {
  const port = await findFreePort()
  await unbearer(dir, ['init', '--dir', dir, '--issuer', ISSUER])
  writeFileSync(join(dir, 'unbearer.yaml'), toConfig(port, servers))
  await unbearer(dir, ['agents', 'enrol', 'support-agent', '--new', join(dir, 'agent.jwk')])
  await acceptTools(dir, servers)
  writeFileSync(join(dir, 'grant.yaml'), GRANT)
  await unbearer(dir, ['grant', 'create', '-f', join(dir, 'grant.yaml')])
  const server = await serve(dir, port)
  return {
    origin: `http://127.0.0.1:${port}`,
    outbox,
    async credentials(step) {
      const opened = await unbearer(dir, [
        'task',
        'open',
        '--purpose',
        step.purpose,
        '--principal',
        'alice',
        '--actor',
        'support-agent',
      ])
      return { key: join(dir, 'agent.jwk'), txn: readText(opened, 'txn') }
    },
    stopAgent: async () => void (await unbearer(dir, ['revoke', 'actor', 'support-agent'])),
    close: async () => server.close(),
    async verifyLog() {
      await server.close()
      const report = await unbearer(dir, ['audit', 'verify'])
      return { entries: Number(report['entries'] ?? 0), verified: report['ok'] === true }
    },
  }
}

/** Runs one command of ours and reads its `--json` answer. */
async function unbearer(dir: string, args: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const config = args[0] === 'init' ? [] : ['--config', join(dir, 'unbearer.yaml')]
  try {
    const { stdout } = await run(process.execPath, [toProgram('main'), ...args, ...config, '--json'], { cwd: dir })
    return readObject(stdout)
  } catch (cause) {
    const stderr = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : ''
    throw new UnavailableError(`\`unbearer ${args.slice(0, 2).join(' ')}\` failed: ${stderr}`, { cause })
  }
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(text)
  if (typeof value !== 'object' || value === null) throw new UnavailableError('a command answered no object')
  return { ...value }
}

function readText(from: Readonly<Record<string, unknown>>, name: string): string {
  const value = from[name]
  if (typeof value !== 'string') throw new UnavailableError(`a command answered no \`${name}\``)
  return value
}

function toConfig(port: number, servers: ToolServers): string {
  const upstream = (name: keyof ToolServers): string =>
    `  - { name: ${name}, kind: mcp, command: ${JSON.stringify(servers[name])} }\n`
  return `issuer: ${ISSUER}
listen: 127.0.0.1:${port}
deployment: same-user
mode: enforce
store: sqlite:./state/unbearer.db
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk } }
engine: [{ kind: cedar, policies: ./policies }]
manifests: ./manifests
upstreams:
${upstream('shop')}${upstream('outbox')}`
}

const GRANT = `principal: alice
actor: support-agent
expires: 1h
operations:
  - { tool: shop/query, effects: [read] }
  - { tool: outbox/send_message, effects: [read, send] }
budgets:
  - { id: messages, limit: 5, per: task, effects: [send] }
`

/** What a person corrects in the drafts: the SQL parser computes effects, and anybody can write a note on an order. */
async function acceptTools(dir: string, servers: ToolServers): Promise<void> {
  for (const server of ['shop', 'outbox'] as const) {
    const { manifest } = draftManifest(server, await scanTools({ upstream: { command: servers[server] } }))
    const tools = Object.fromEntries(
      Object.entries(manifest.tools).map(([name, tool]) => [name, { ...tool, ...JUDGED[`${server}/${name}`] }]),
    )
    const file = join(dir, `${server}.draft.yaml`)
    writeFileSync(file, toManifestYaml({ ...manifest, tools }))
    await unbearer(dir, ['tools', 'accept', file])
  }
}

type Judged = Partial<ReturnType<typeof draftManifest>['manifest']['tools'][string]>

const JUDGED: Readonly<Record<string, Judged>> = {
  'shop/query': {
    effect: { from: 'sql', argument: 'sql' },
    arguments: { sql: { role: 'command' } },
    output: {
      trust: 'internal',
      confidentiality: 'confidential',
      fields: { 'rows[].note': { trust: 'attacker-writable' } },
    },
  },
  'outbox/send_message': {
    effect: 'send',
    arguments: { to: { role: 'recipient' }, body: { role: 'content' } },
    output: { trust: 'internal', confidentiality: 'internal' },
  },
}

async function serve(dir: string, port: number): Promise<{ close(): Promise<void> }> {
  const args = [toProgram('main'), 'serve', '--config', join(dir, 'unbearer.yaml')]
  const child = spawn(process.execPath, args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] })
  // However the demo ends, nothing of it goes on serving.
  process.once('exit', () => child.kill('SIGKILL'))
  const problems: string[] = []
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => void problems.push(chunk))
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  for (let tries = 0; tries < 300 && child.exitCode === null; tries += 1) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined)
    if (answer?.ok === true) {
      return {
        async close() {
          child.kill('SIGTERM')
          await gone
        },
      }
    }
    await sleep(100)
  }
  child.kill('SIGKILL')
  throw new UnavailableError(`\`unbearer serve\` did not start: ${problems.join('').trim()}`)
}

async function findFreePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const port = toPort(probe)
  await new Promise((resolve) => probe.close(resolve))
  return port
}
