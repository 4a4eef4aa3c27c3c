/**
 * @module
 * What stands behind `unbearer mcp`: an installation of the user, served in this process, with an agent key, a grant and a
 * manifest that are made the first time. What a person has changed since stays as it is.
 */
import { rmSync, watch, writeFileSync } from 'node:fs'

import { serveInstallation, type Serving } from '../config/listen.ts'
import { loadConfig, type Config } from '../config/load.ts'
import { ConfigError, UnavailableError } from '../core/errors.ts'
import type { Mode } from '../core/request.ts'
import type { Fetch } from '../client/send.ts'
import type { Caller } from '../ports/pep.ts'
import { portFile } from './control-client.ts'
import { ensureInstallation, MOST_AT_ONCE } from './user-installations.ts'
import {
  ensureAgent,
  ensureManifest,
  ensureObserve,
  toSurroundings,
  type Accepted,
  type Setup,
} from './wrapped-setup.ts'

export interface WrapOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly mode?: Mode
  /** Absent: an installation in the folder of the user. */
  readonly config?: string
  readonly version: string
  readonly report: (where: string, fault: unknown) => void
  readonly notice: (text: string) => void
}

export interface Wrapped {
  readonly url: string
  /** Speaks to the gateway in this process. */
  readonly fetch: Fetch
  /** What is guarded, and what is not, one line each. */
  readonly says: readonly string[]
  close(): Promise<void>
}

/** How often the gateway is told that the client is still there, in milliseconds; it ends sessions that say nothing. */
const KEEP_MS = 5 * 60_000
/** How long what is under way may take to end once the client has gone. */
const DRAIN_MS = 1_000
/** How long a folder must be still before it is read, in milliseconds. */
const SETTLED_MS = 100

/**
 * Opens it. Throws `ConfigError` when the installation cannot be used, `UnavailableError` when the server does not answer. Does
 * not promise that the server is what it says: only that it is what it was when it was accepted.
 */
export async function openWrapped(options: WrapOptions): Promise<Wrapped> {
  const { serving, config } = await serve(options)
  try {
    const setup: Setup = { ...options, config, serving }
    if (options.mode === 'observe') await ensureObserve(setup)
    const caller = await ensureAgent(setup)
    const accepted = await ensureManifest(setup)
    const direct = createDirectFetch(options.name, serving, caller)
    writePort(config, serving)
    const stopWatching = watchManifests(config, serving, options.report)
    return {
      url: `${serving.origin}/mcp/${options.name}`,
      fetch: direct.fetch,
      says: toSaid(options, config, serving, accepted),
      async close() {
        direct.stop()
        stopWatching()
        rmSync(portFile(config), { force: true })
        await serving.close({ drainMs: DRAIN_MS })
      },
    }
  } catch (cause) {
    await serving.close({ drainMs: 0 })
    throw cause
  }
}

interface Served {
  readonly serving: Serving
  readonly config: Config
}

/** The first place whose store nobody else has open. */
async function serve(options: WrapOptions): Promise<Served> {
  if (options.config !== undefined) return serveAt(options, options.config)
  for (let place = 1; ; place += 1) {
    const file = await ensureInstallation({ ...options, place })
    try {
      return await serveAt(options, file)
    } catch (fault) {
      if (!(fault instanceof UnavailableError) || place >= MOST_AT_ONCE) throw fault
    }
  }
}

async function serveAt({ name, command, mode, version, report }: WrapOptions, file: string): Promise<Served> {
  const config = toWrappedConfig(await loadConfig(file), name, command, mode)
  const serving = await serveInstallation(config, { version, report, surroundings: toSurroundings() })
  return { serving, config }
}

/** The configuration as this command serves it: one upstream, which is the command. Throws `ConfigError`. */
function toWrappedConfig(config: Config, name: string, command: readonly string[], mode?: Mode): Config {
  const [first, ...others] = config.upstreams.filter((upstream) => upstream.name === name)
  if (others.length > 0 || first?.url !== undefined)
    throw new ConfigError(`upstream \`${name}\` of the configuration is not a command, choose another \`--name\``)
  const inForce = mode ?? first?.mode ?? config.mode
  return {
    ...config,
    mode: mode ?? config.mode,
    modes: mode === undefined ? config.modes : { mode, rules: config.modes.rules },
    upstreams: [{ name, kind: 'mcp', command, secrets: first?.secrets ?? {}, mode: inForce }],
  }
}

interface DirectFetch {
  readonly fetch: Fetch
  stop(): void
}

/** Requests go to the gateway in this process; that it is this process is the proof. */
function createDirectFetch(upstream: string, serving: Serving, caller: Caller): DirectFetch {
  let id: string | undefined
  const fetch: Fetch = async (input, init) => {
    const request = new Request(input, init)
    const body = new Uint8Array(await request.clone().arrayBuffer())
    const response = await serving.handle({ upstream, request, body, caller })
    id = response.headers.get('mcp-session-id') ?? id
    return response
  }
  const timer = setInterval(() => {
    if (id !== undefined) keep(fetch, `${serving.origin}/mcp/${upstream}`, id)
  }, KEEP_MS)
  timer.unref()
  return { fetch, stop: () => clearInterval(timer) }
}

function keep(fetch: Fetch, url: string, id: string): void {
  const headers = {
    'mcp-session-id': id,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
  }
  const body = JSON.stringify({ jsonrpc: '2.0', id: 'unbearer-keep', method: 'ping' })
  fetch(url, { method: 'POST', headers, body })
    .then(async (response) => response.body?.cancel())
    .catch(() => undefined)
}

/** What a person accepts at one place counts at all: the folder is shared. A file that cannot be used changes nothing. */
function watchManifests({ manifests }: Config, { composed }: Serving, report: WrapOptions['report']): () => void {
  let soon: NodeJS.Timeout | undefined
  const reload = (): void => {
    composed.manifests.reload().catch((fault: unknown) => report('manifests', fault))
  }
  try {
    const watcher = watch(manifests, { persistent: false }, (_event, name) => {
      if (name === null || !/\.ya?ml$/.test(name)) return
      clearTimeout(soon)
      soon = setTimeout(reload, SETTLED_MS)
    })
    watcher.on('error', (fault) => report('manifests', fault))
    return () => {
      clearTimeout(soon)
      watcher.close()
    }
  } catch (fault) {
    report('manifests', fault)
    return () => undefined
  }
}

/** Commands for people find the listener here: the port is another each time. */
function writePort(config: Config, { origin }: Serving): void {
  writeFileSync(portFile(config), origin, { mode: 0o600 })
}

function toSaid({ name, mode }: WrapOptions, config: Config, serving: Serving, accepted: Accepted): readonly string[] {
  const { composed } = serving
  const isObserved = composed.modes.look({ upstream: name }).mode === 'observe'
  const unsigned = composed.manifests.unaccepted().includes(name)
  return [
    accepted.isNew
      ? `guarding \`${name}\` for the first time: its ${accepted.tools} tools are accepted as they are now, in ${config.manifests}`
      : `guarding \`${name}\`: ${accepted.tools} tools are accepted, in ${config.manifests}`,
    isObserved
      ? 'observe: everything is decided and recorded, little is blocked'
      : 'enforce: reads pass; anything else waits for you, `unbearer approvals list` shows it; `unbearer why ID` explains a refusal',
    ...(unsigned
      ? ['the manifest was changed and is not signed: every tool is refused until `unbearer tools accept`']
      : []),
    ...(mode === 'enforce' && isObserved
      ? ['an operator has signed that it observes: `unbearer mode enforce` ends that']
      : []),
    'the path through this command is guarded, not this machine: what runs as you can go around it and answer for you',
  ]
}
