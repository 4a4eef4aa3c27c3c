/**
 * @module
 * `unbearer serve`: the gateway and the control plane in one process.
 */
import { parseDuration } from '../config/durations.ts'
import type { Config } from '../config/load.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { toTable, type Answer, type Call, type Command } from './command.ts'
import { createLog, LOG_OPTION, readLogForm, type Log } from './log-lines.ts'
import { toModeNotes } from './modes.ts'
import { PDP_OPTIONS, servePdpCall } from './serve-pdp.ts'
import { onHangUp, waitForSignal } from './signals.ts'
import { version } from './version.ts'

export const serveCommand: Command = {
  words: 'serve',
  usage: '[--config FILE] | --pdp --policies DIR --entities FILE.ndjson',
  summary: 'run the gateway in front of the upstreams',
  about: [
    'Serves every upstream at /mcp/NAME, several of them at /mcp together, and /session, /control, /healthz, /readyz and /metrics,',
    'on one listener.',
    'Standard output has one block at the start (with `--json` one line); standard error has the log: starts, reloads, faults.',
    'SIGHUP reads the configuration, policies, manifests and certificates again, and swaps them in one step; when anything of',
    'them cannot be used, it says why and goes on as before.',
    'SIGINT or SIGTERM: /readyz says no, nothing new is begun, what is under way ends or is aborted after `--drain`, and its',
    'outcome is recorded; then exit code 0. A second signal does not wait.',
    'With `--pdp` it is an AuthZEN PDP instead (/access/v1/…): Cedar policies of a folder over the entities of a file. Without',
    '`--config` nobody is authenticated: it listens on the loopback only, says so, and keeps its log in memory.',
  ].join('\n'),
  example: 'unbearer serve --config /etc/unbearer/unbearer.yaml',
  options: [
    LOG_OPTION,
    { name: 'drain', value: 'TIME', about: 'how long what is under way may take to end on SIGTERM (default: 10s)' },
    ...PDP_OPTIONS,
  ],
  operands: [0, 0],
  run: async (call) => (call.flag('pdp') ? servePdpCall(call, toLog(call).report) : serve(call)),
}

type Serving = Awaited<ReturnType<typeof import('../config/listen.ts').serveInstallation>>

async function serve(call: Call): Promise<Answer> {
  const { loadConfig } = await import('../config/load.ts')
  const { serveInstallation } = await import('../config/listen.ts')
  const log = toLog(call)
  const drainMs = parseDuration(call.text('drain') ?? '10s', '`--drain`')
  const stopped = waitForSignal()
  const config = await loadConfig(call.config)
  // Before it listens: a signal that comes early must not end what it was to mend.
  let serving: Serving | undefined
  onHangUp(() => void reloadFrom(call.config, serving, log))
  serving = await serveInstallation(config, { version, report: log.report })
  const started = await toStarted(config, serving)
  process.stdout.write(`${call.json ? JSON.stringify(started) : toBlock(config, started)}\n`)
  log.event('info', 'started', { origin: started.origin, version, entries: started.log.entries })
  await stopped
  log.event('info', 'draining', { inFlight: serving.composed.pdp.inFlight.size() })
  await serving.close({ drainMs })
  log.event('info', 'stopped')
  return { exit: 0 }
}

/** What is wrong with the new configuration is said, and the old one goes on. Never rejects. */
async function reloadFrom(path: string, serving: Serving | undefined, log: Log): Promise<void> {
  const { loadConfig } = await import('../config/load.ts')
  try {
    const next = await loadConfig(path)
    // What is still starting reads the files as they are now.
    if (serving === undefined) return
    await serving.reload(next)
    log.event('info', 'reloaded', { upstreams: next.upstreams.map(({ name }) => name) })
  } catch (fault) {
    log.report('reload-refused', fault)
  }
}

function toLog(call: Call): Log {
  return createLog(readLogForm(call), (line) => process.stderr.write(`${line}\n`))
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
