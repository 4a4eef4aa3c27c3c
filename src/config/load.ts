/**
 * @module
 * Reads `unbearer.yaml` into a `Config`: strict YAML, no unknown key, paths resolved, durations in milliseconds.
 * An error names the key and what to write instead; nothing is started with a file that is not understood in full.
 */
import { readFile } from 'node:fs/promises'
import { isIPv4 } from 'node:net'
import { dirname, resolve } from 'node:path'

import { ConfigError } from '../core/errors.ts'
import type { EvidenceClass, Retention } from '../core/retention.ts'
import { toScope, type ModeFile, type ModeRule } from '../core/mode.ts'
import type { Mode } from '../core/request.ts'
import type { Audience } from '../server/oauth/action-detail.ts'
import { toAudiences } from './audience.ts'
import { parseDuration } from './durations.ts'
import { toEngine, type EngineConfig } from './engine-config.ts'
import { toEvents, type EventsConfig } from './events.ts'
import { parseShape, toConfigSchema, type ConfigShape, type UpstreamShape } from './schema.ts'
import type { SecretShape } from './schema-parts.ts'
import { parseStrictYaml } from './strict-yaml.ts'
import { toUpstreamOAuth, type UpstreamOAuthConfig } from './upstream-oauth.ts'
import { toTrust, type TrustConfig } from './trust.ts'
import { createSecret, type Environment, type Secret } from './secrets.ts'
import { findUnknownKey } from './unknown-keys.ts'

interface Listen {
  /** An IP address, without brackets. */
  readonly host: string
  readonly port: number
}

export interface Upstream {
  readonly name: string
  readonly kind: 'mcp'
  /** Either this (a stdio server, run in `Config.dir`) or `url`. */
  readonly command?: readonly string[]
  readonly url?: string
  /** With `command`: environment variables; with `url`: headers. */
  readonly secrets: Readonly<Record<string, Secret>>
  /** With `url`: where tokens for it come from. */
  readonly oauth?: UpstreamOAuthConfig
  /** Its own mode, or that of the file. What is in force may be stricter: `Modes.look`. */
  readonly mode: Mode
}

export type Deployment = 'same-user' | { readonly agentUid: number }

/** The configuration as the rest of the program uses it: paths absolute, durations in milliseconds. */
export interface Config {
  /** The file itself; absent when parsed from text. */
  readonly file?: string
  /** The folder against which relative paths were resolved. */
  readonly dir: string
  readonly issuer: string
  readonly listen: Listen
  /** Where clients reach us, without a trailing slash; absent: made from the address that was bound. */
  readonly origin?: string
  /** `ca` is the file that commands beside the configuration trust. */
  readonly tls?: {
    readonly cert: Secret
    readonly key: Secret
    readonly ca?: string
    readonly clientCertificates?: true
  }
  readonly deployment: Deployment
  readonly mode: Mode
  /** Everything that the file says about modes. */
  readonly modes: ModeFile
  readonly store: { readonly kind: 'sqlite'; readonly path: string } | { readonly kind: 'memory' }
  readonly audit: { readonly head: string; readonly checkpointKey: Secret }
  readonly evidence: { readonly masterKey: Secret; readonly retention: Retention }
  readonly keys: { readonly issuer: Secret; readonly rotate: number }
  readonly engine: readonly EngineConfig[]
  /** Without a folder: the policies that come with this package. */
  readonly operators: { readonly policies?: string }
  readonly manifests: string
  readonly upstreams: readonly Upstream[]
  readonly audiences: readonly Audience[]
  readonly trust: TrustConfig
  readonly events: EventsConfig
  readonly limits: Omit<ConfigShape['limits'], 'deadline' | 'disk' | 'suspend' | 'answer'> & {
    readonly deadline: number
    readonly answer: number
    readonly disk: number
    readonly suspend: { readonly after: number; readonly within: number; readonly families: readonly string[] }
  }
  readonly credential: { readonly ttl: number }
  readonly anomaly: { readonly falsePositivesPerTask: number }
}

export interface ParseOptions {
  /** The folder against which relative paths resolve. */
  readonly dir: string
  readonly env?: Environment
  readonly file?: string
}

/** Action credentials are alive for seconds (design §5). */
const MAX_TTL = 60_000

/**
 * Reads and parses the file at `path`. Throws `ConfigError`. Does not read secrets, does not look at file modes
 * (`assertDeployment` does) and opens nothing.
 */
export async function loadConfig(path: string): Promise<Config> {
  const file = resolve(path)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new ConfigError(
      `the configuration \`${path}\` cannot be read, run \`unbearer init\` or name one with \`--config\``,
      {
        cause,
      },
    )
  }
  return parseConfig(text, { dir: dirname(file), env: process.env, file })
}

/** Parses the text of a configuration. Throws `ConfigError` naming the key. Promises no more than `loadConfig`. */
export function parseConfig(text: string, { dir, env = {}, file }: ParseOptions): Config {
  const value = parseYaml(text)
  const unknown = findUnknownKey(value, toConfigSchema())
  if (unknown !== undefined) {
    const hint = unknown.nearest === undefined ? '' : `, did you mean \`${unknown.nearest}\``
    throw new ConfigError(`unknown key \`${unknown.path}\` in the configuration${hint}`)
  }
  const shape = parseShape(value)
  if (!isShape(shape)) {
    const { path, message } = shape[0] ?? { path: '', message: 'cannot be read' }
    throw new ConfigError(
      path === '' ? `the configuration: ${message}` : `\`${path}\` in the configuration: ${message}`,
    )
  }
  return { ...(file === undefined ? {} : { file }), ...toConfig(shape, dir, env) }
}

function isShape(parsed: ReturnType<typeof parseShape>): parsed is ConfigShape {
  return !Array.isArray(parsed)
}

function parseYaml(text: string): unknown {
  try {
    return parseStrictYaml(text)
  } catch (cause) {
    throw new ConfigError(`the configuration: ${cause instanceof Error ? cause.message : 'not usable YAML'}`, { cause })
  }
}

function toConfig(shape: ConfigShape, dir: string, env: Environment): Config {
  const at = (path: string): string => resolve(dir, path)
  const secret = (source: SecretShape): Secret =>
    createSecret('env' in source ? source : { file: at(source.file) }, env)
  const tls = shape.tls === undefined ? undefined : toTls(shape.tls, at, secret)
  const { limits } = shape
  return {
    dir: resolve(dir),
    issuer: shape.issuer.replace(/\/$/, ''),
    listen: parseListen(shape.listen, tls !== undefined),
    ...(shape.origin === undefined ? {} : { origin: parseOrigin(shape.origin) }),
    ...(tls === undefined ? {} : { tls }),
    deployment: shape.deployment,
    mode: shape.mode,
    modes: toModeFile(shape),
    store:
      shape.store === 'memory:'
        ? { kind: 'memory' }
        : { kind: 'sqlite', path: at(shape.store.slice('sqlite:'.length)) },
    audit: { head: at(shape.audit.head), checkpointKey: secret(shape.audit.checkpointKey) },
    evidence: { masterKey: secret(shape.evidence.masterKey), retention: toRetention(shape.evidence.retention) },
    keys: { issuer: secret(shape.keys.issuer), rotate: parseDuration(shape.keys.rotate, '`keys.rotate`') },
    engine: shape.engine.map((engine, index) => toEngine(engine, `engine[${index}]`, at, secret)),
    operators: shape.operators.policies === undefined ? {} : { policies: at(shape.operators.policies) },
    manifests: at(shape.manifests),
    upstreams: toUpstreams(shape, secret),
    audiences: toAudiences(
      shape.audiences,
      shape.upstreams.map(({ name }) => name),
    ),
    trust: toTrust(shape.trust, shape.issuer),
    events: toEvents(shape.events, at, secret),
    limits: toLimits(limits),
    credential: { ttl: parseTtl(shape.credential.ttl) },
    anomaly: shape.anomaly,
  }
}

function toRetention(shape: ConfigShape['evidence']['retention']): Retention {
  const after = (name: EvidenceClass): number | undefined =>
    shape[name] === 'forever' ? undefined : parseDuration(shape[name], `\`evidence.retention.${name}\``)
  return { permits: after('permits'), refusals: after('refusals'), outputs: after('outputs'), acts: after('acts') }
}

function toLimits({ deadline, disk, suspend, answer, ...limits }: ConfigShape['limits']): Config['limits'] {
  const { after, within, reasons } = suspend
  return {
    ...limits,
    deadline: parseDuration(deadline, '`limits.deadline`'),
    disk: parseDuration(disk, '`limits.disk`'),
    answer: parseDuration(answer, '`limits.answer`'),
    suspend: { after, within: parseDuration(within, '`limits.suspend.within`'), families: reasons },
  }
}

function toModeFile({ mode, modes, upstreams }: ConfigShape): ModeFile {
  const own = upstreams.flatMap((upstream, index): readonly ModeRule[] =>
    upstream.mode === undefined
      ? []
      : [{ upstream: upstream.name, mode: upstream.mode, place: `upstreams[${index}].mode` }],
  )
  const rules = modes.map(({ upstream, tool, actor, effect, mode: said }, index): ModeRule => {
    const place = `modes[${index}]`
    const scope = { upstream, tool, actor, effect }
    if (Object.values(scope).every((member) => member === undefined))
      throw new ConfigError(`\`${place}\` in the configuration names nothing, write \`mode\` at the top instead`)
    if (tool !== undefined && upstream === undefined)
      throw new ConfigError(`\`${place}.tool\` in the configuration needs \`upstream\` beside it`)
    return { ...toScope(scope), mode: said, place }
  })
  return { mode, rules: [...own, ...rules] }
}

function toTls(
  { cert, key, ca, clientCertificates }: NonNullable<ConfigShape['tls']>,
  at: (path: string) => string,
  secret: (source: SecretShape) => Secret,
): NonNullable<Config['tls']> {
  return {
    cert: secret(cert),
    key: secret(key),
    ...(ca === undefined ? {} : { ca: at(ca) }),
    ...(clientCertificates ? { clientCertificates } : {}),
  }
}

function toUpstreams(shape: ConfigShape, secret: (source: SecretShape) => Secret): readonly Upstream[] {
  const names = new Set<string>()
  return shape.upstreams.map((upstream, index) => {
    if (names.has(upstream.name)) throw new ConfigError(`two upstreams are called \`${upstream.name}\``)
    names.add(upstream.name)
    refuseAmbiguous(upstream, `upstreams[${index}]`)
    const { name, kind, command, url } = upstream
    return {
      name,
      kind,
      ...(command === undefined ? {} : { command }),
      ...(url === undefined ? {} : { url }),
      secrets: Object.fromEntries(Object.entries(upstream.secrets).map(([key, source]) => [key, secret(source)])),
      mode: upstream.mode ?? shape.mode,
      ...(upstream.oauth === undefined
        ? {}
        : { oauth: toUpstreamOAuth(upstream.oauth, { url, path: `upstreams[${index}].oauth`, toSecret: secret }) }),
    }
  })
}

function refuseAmbiguous({ command, url, secrets, oauth }: UpstreamShape, path: string): void {
  if ((command === undefined) === (url === undefined)) {
    throw new ConfigError(`\`${path}\` in the configuration needs either \`command\` or \`url\``)
  }
  if (url === undefined) return
  if (!URL.canParse(url)) throw new ConfigError(`\`${path}.url\` in the configuration is not a URL`)
  const { protocol, hostname } = new URL(url)
  if (
    protocol === 'http:' &&
    (Object.keys(secrets).length > 0 || oauth !== undefined) &&
    !isLoopback(hostname.replace(/^\[|\]$/g, ''))
  ) {
    throw new ConfigError(`\`${path}.url\` would carry secrets in the clear to \`${hostname}\`, use https`)
  }
}

function parseTtl(text: string): number {
  const ttl = parseDuration(text, '`credential.ttl`')
  if (ttl <= MAX_TTL) return ttl
  throw new ConfigError('`credential.ttl` in the configuration: at most `60s`, an action credential is for one action')
}

/** `ADDRESS:PORT`; anything but loopback needs TLS. Throws `ConfigError`. */
export function parseListen(text: string, hasTls: boolean): Listen {
  const [, bracketed, plain, digits = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):([0-9]{1,5})$/.exec(text) ?? []
  const host = plain === 'localhost' ? '127.0.0.1' : (bracketed ?? plain)
  const port = Number(digits)
  if (host === undefined || port > 65_535) {
    throw new ConfigError(
      `\`listen\` in the configuration: \`${text}\` is not ADDRESS:PORT, for example \`127.0.0.1:8700\``,
    )
  }
  if (!hasTls && !isLoopback(host)) {
    throw new ConfigError(
      `\`listen\` in the configuration: \`${text}\` is reachable from other machines, use \`127.0.0.1:${port}\` or add \`tls\``,
    )
  }
  return { host, port }
}

function parseOrigin(text: string): string {
  const origin = text.replace(/\/$/, '')
  if (URL.canParse(origin) && new URL(origin).origin === origin) return origin
  throw new ConfigError(
    `\`origin\` in the configuration: \`${text}\` is not an origin, for example \`https://unbearer.example\``,
  )
}

/** True for an address that only this machine can reach. Names are not addresses: they may resolve to anything. */
export function isLoopback(host: string): boolean {
  return host === '::1' || (isIPv4(host) && host.startsWith('127.'))
}
