/**
 * @module
 * `unbearer serve`: the gateway and the control plane in one process.
 */
import type { Config } from '../config/load.ts'
import { UnbearerError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { toTable, toTime, type Answer, type Call, type Command } from './command.ts'
import { toModeNotes } from './modes.ts'
import { PDP_OPTIONS, servePdpCall } from './serve-pdp.ts'
import { waitForSignal } from './signals.ts'
import { version } from './version.ts'

export const serveCommand: Command = {
  words: 'serve',
  usage: '[--config FILE] | --pdp --policies DIR --entities FILE.ndjson',
  summary: 'run the gateway in front of the upstreams',
  about: [
    'Serves every upstream at /mcp/NAME, and /session, /control, /healthz, /readyz and /metrics, on one listener.',
    'Standard output has one block at the start (with `--json` one line); standard error has one line per fault.',
    'SIGINT or SIGTERM stops taking requests, lets what is under way end, and closes the store; a second one does not wait.',
    'With `--pdp` it is an AuthZEN PDP instead (/access/v1/…): Cedar policies of a folder over the entities of a file. Without',
    '`--config` nobody is authenticated: it listens on the loopback only, says so, and keeps its log in memory.',
  ].join('\n'),
  example: 'unbearer serve --config /etc/unbearer/unbearer.yaml',
  options: PDP_OPTIONS,
  operands: [0, 0],
  run: async (call) => (call.flag('pdp') ? servePdpCall(call, report) : serve(call)),
}

type Serving = Awaited<ReturnType<typeof import('../config/listen.ts').serveInstallation>>

async function serve(call: Call): Promise<Answer> {
  const { loadConfig } = await import('../config/load.ts')
  const { serveInstallation } = await import('../config/listen.ts')
  const config = await loadConfig(call.config)
  const stopped = waitForSignal()
  const serving = await serveInstallation(config, { version, report })
  const started = await toStarted(config, serving)
  process.stdout.write(`${call.json ? JSON.stringify(started) : toBlock(config, started)}\n`)
  await stopped
  await serving.close()
  return { exit: 0 }
}

interface Started extends JsonObject {
  readonly origin: string
  readonly deployment: Json
  readonly advisory: boolean
  readonly upstreams: readonly {
    readonly name: string
    readonly mode: string
    /** What decided the mode. */
    readonly from: string
    readonly url: string
    readonly tools: string
  }[]
  /** What people should know about modes, one line each. */
  readonly modes: readonly string[]
  readonly log: { readonly entries: number; readonly vkey: string }
}

async function toStarted(config: Config, { origin, composed }: Serving): Promise<Started> {
  const unaccepted = composed.manifests.unaccepted()
  const toTools = (name: string): string => {
    if (composed.manifests.find(name) === undefined) return 'not scanned'
    return unaccepted.includes(name) ? 'not accepted' : 'accepted'
  }
  return {
    origin,
    deployment: config.deployment === 'same-user' ? 'same-user' : { agentUid: config.deployment.agentUid },
    advisory: config.deployment === 'same-user',
    upstreams: config.upstreams.map(({ name }) => ({
      name,
      ...composed.modes.look({ upstream: name }),
      url: `${origin}/mcp/${name}`,
      tools: toTools(name),
    })),
    modes: toModeNotes(await composed.services.modes.list(), Date.now()).map(({ what }) => what),
    log: { entries: await composed.store.log.size(), vkey: composed.vkey },
  }
}

function toBlock(config: Config, { origin, advisory, upstreams, modes, log }: Started): string {
  const rows = upstreams.map(({ name, mode, tools, url }) => [name, mode, tools, url])
  return [
    `unbearer ${version} listens on ${origin}`,
    advisory
      ? '  deployment  same-user: advisory, an agent of the same user can get around it'
      : '  deployment  the agent runs as another user',
    `  log         ${log.entries} entries, verify with ${log.vkey}`,
    `  config      ${config.file ?? ''}`,
    '',
    rows.length === 0
      ? 'No upstreams yet: add one under `upstreams` in the configuration.'
      : toTable(['upstream', 'mode', 'tools', 'MCP URL'], rows),
    ...(modes.length === 0 ? [] : ['', ...modes.map(toDisplayText)]),
  ].join('\n')
}

/** One line; what it says may come from an upstream. Only our own errors speak for themselves. */
function report(where: string, fault: unknown): void {
  const said = typeof fault === 'string' ? fault : fault instanceof UnbearerError ? fault.message : nameOf(fault)
  process.stderr.write(`${toTime(Date.now())} ${toDisplayText(where)}: ${toDisplayText(said)}\n`)
}

function nameOf(fault: unknown): string {
  return `unexpected ${fault instanceof Error ? fault.name : typeof fault}`
}
