/**
 * @module
 * A real installation in a folder of its own: keys, policies that ship, a manifest that an enrolled operator signed, and
 * `serveInstallation` of the real composition root on a loopback port. Nothing of it is faked; what a test breaks it
 * breaks through `faults.ts`.
 */
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { draftManifest } from '../../src/adapters/mcp/draft.ts'
import { callControl } from '../../src/client/index.ts'
import { openInstallation } from '../../src/config/compose.ts'
import { serveInstallation, type Serving } from '../../src/config/listen.ts'
import { parseConfig, type Config } from '../../src/config/load.ts'
import { acceptManifest, toManifestYaml } from '../../src/config/manifest.ts'
import type { LogEntry } from '../../src/core/entry.ts'
import type { EnrolledKey, Grant, Json, JsonObject, KeyRole, Mode, Task } from '../../src/index.ts'
import { asJson } from '../../src/core/json.ts'
import { isJsonObject, parseJson } from '../../src/index.ts'
import { generateKey, importKey, signBytes, type KeyPair, type PrivateJwk } from '../../src/crypto/keys.ts'
import { newId } from '../../src/pdp/log-entries.ts'
import { signObserve } from '../../src/server/modes.ts'
import { toApprovalMessage, type Verdict } from '../../src/server/approvals.ts'
import type { Services } from '../../src/server/control.ts'
import { DESCRIPTORS, judge, SERVER } from './tools.ts'

export const ISSUER = 'https://unbearer-test.invalid'
/** A header that only the upstream may see. */
export const UPSTREAM_SECRET = 'upstream-secret-5d1c80'

export interface InstallationOptions {
  /** The server behind the gateway: a URL or a command. */
  readonly upstream: { readonly url: string } | { readonly command: readonly string[] }
  readonly store?: 'memory' | 'sqlite'
  readonly mode?: Mode
  /** Members of a grant that replace those of the default grant. */
  readonly grant?: JsonObject
  /** More lines of the configuration. */
  readonly yaml?: string
  /** More members of `limits`. */
  readonly limits?: string
  /** Milliseconds for a decision; generous, because test machines are busy. */
  readonly deadline?: string
  /** Where clients discover the issuer, it is where it listens. */
  readonly issuer?: string
  /** Default: any that is free. */
  readonly port?: number
}

export interface Installation {
  readonly dir: string
  readonly origin: string
  readonly serving: Serving
  readonly enrolled: Readonly<Record<Name, EnrolledKey>>
  readonly keys: Readonly<Record<Name, KeyPair>>
  readonly jwks: Readonly<Record<Name, PrivateJwk>>
  readonly grant: Grant
  /** What was reported for the operator's log. */
  readonly reports: string[]
  /** Opens a task for `agent` as the host would. */
  openTask(purpose: string, options?: { readonly actor?: Name; readonly grant?: string }): Promise<Task>
  /** Calls the control plane over HTTP with a signature of this key. */
  control(as: Name, method: string, params?: JsonObject): Promise<Json>
  /** Answers a ticket with a signature over it. */
  answer(ticket: string, verdict: Verdict, as?: Name): Promise<Json>
  entries(): Promise<readonly LogEntry[]>
  /** The salts and values that open the commitments of an entry. */
  evidence(id: string): Promise<{ readonly salts: JsonObject; readonly values: JsonObject }>
  /**
   * Closes and serves the same folder again, under another configuration where `change` gives one; `between` runs while
   * nobody serves it.
   */
  restart(between?: () => Promise<void>, change?: (config: Config) => Config): Promise<void>
  close(): Promise<void>
}

export type Name = 'operator' | 'approver' | 'host' | 'pep' | 'agent' | 'other'
const ENROLLED: Readonly<Record<Name, KeyRole>> = {
  operator: 'operator',
  approver: 'approver',
  host: 'host',
  pep: 'pep',
  agent: 'agent',
  other: 'agent',
}
const NAMES: readonly Name[] = ['operator', 'approver', 'host', 'pep', 'agent', 'other']

const GRANT: JsonObject = {
  principal: 'alice',
  actor: 'agent',
  expires: '1d',
  operations: [{ tool: `${SERVER}/*`, effects: ['read', 'write', 'delete', 'send', 'spend'] }],
}

export async function createInstallation(options: InstallationOptions): Promise<Installation> {
  const dir = mkdtempSync(join(tmpdir(), 'unbearer-e2e-'))
  const jwks = toJwks()
  const keys = toRecord((name) => importKey({ ...jwks[name] }))
  let config = writeInstallation(dir, options)
  const reports: string[] = []
  const start = async (): Promise<Serving> =>
    serveInstallation(config, { version: 'test', report: (where, fault) => reports.push(`${where}: ${toSaid(fault)}`) })
  let serving = await start()
  const enrolled = await enrolAll(serving.composed.services, keys)
  await acceptTools(dir, serving, keys.operator)
  if (options.mode === 'observe') await observe(serving.composed.services, keys.operator, enrolled.operator)
  const made = await serving.composed.services.grants.create({ ...GRANT, ...options.grant }, enrolled.operator)
  return {
    dir,
    enrolled,
    keys,
    jwks,
    reports,
    grant: made,
    get serving() {
      return serving
    },
    get origin() {
      return serving.origin
    },
    openTask: async (purpose, { actor = 'agent', grant } = {}) =>
      serving.composed.services.tasks.open({
        purpose,
        principal: 'alice',
        actor,
        openedBy: enrolled.host,
        ...(grant === undefined ? {} : { grant }),
      }),
    control: async (as, method, params = {}) => callControl({ url: serving.origin, key: keys[as], method, params }),
    async answer(ticket, verdict, as = 'approver') {
      const shown = await serving.composed.services.approvals.show(ticket)
      const signature = signBytes(keys[as], toApprovalMessage(shown, verdict)).toString('base64url')
      return callControl({
        url: serving.origin,
        key: keys[as],
        method: 'approval.answer',
        params: { id: ticket, verdict, signature },
      })
    },
    entries: async () => readEntries(serving),
    evidence: async (id) => readEvidence(serving, id),
    async restart(between, change = (same) => same) {
      await serving.close()
      await between?.()
      config = change(config)
      serving = await start()
    },
    async close() {
      await serving.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** An installation that nobody serves yet, on SQLite: for `serve` as a process of its own. */
export interface Prepared {
  readonly dir: string
  readonly config: Config
  readonly keys: Readonly<Record<Name, KeyPair>>
  readonly jwks: Readonly<Record<Name, PrivateJwk>>
  readonly grant: Grant
  remove(): void
}

export async function prepareInstallation(options: InstallationOptions): Promise<Prepared> {
  const dir = mkdtempSync(join(tmpdir(), 'unbearer-e2e-'))
  const jwks = toJwks()
  const keys = toRecord((name) => importKey({ ...jwks[name] }))
  const config = writeInstallation(dir, { ...options, store: 'sqlite' })
  writeManifest(dir, keys.operator)
  const opened = await openInstallation(config)
  try {
    const enrolled = await enrolAll(opened.services, keys)
    if (options.mode === 'observe') await observe(opened.services, keys.operator, enrolled.operator)
    const grant = await opened.services.grants.create({ ...GRANT, ...options.grant }, enrolled.operator)
    return { dir, config, keys, jwks, grant, remove: () => rmSync(dir, { recursive: true, force: true }) }
  } finally {
    await opened.close()
  }
}

/** What the operator's log of `serve` would hold of a fault, and more: everything that it says of itself. */
function toSaid(fault: unknown): string {
  return fault instanceof Error ? `${fault.name} ${fault.message}` : String(fault)
}

function toRecord<T>(make: (name: Name) => T): Record<Name, T> {
  return {
    operator: make('operator'),
    approver: make('approver'),
    host: make('host'),
    pep: make('pep'),
    agent: make('agent'),
    other: make('other'),
  }
}

function toJwks(): Record<Name, PrivateJwk> {
  // One agent with each of the two algorithms.
  return toRecord((name) => generateKey(name === 'other' ? 'ES256' : 'Ed25519'))
}

/** Writes folders, keys, policies and the configuration. Returns it as parsed. */
export function writeInstallation(dir: string, options: InstallationOptions): Config {
  for (const folder of ['keys', 'state', 'head', 'manifests', 'policies']) mkdirSync(join(dir, folder), { mode: 0o700 })
  for (const name of ['issuer', 'log']) {
    writeFileSync(join(dir, 'keys', `${name}.jwk`), JSON.stringify(generateKey('Ed25519')), { mode: 0o600 })
  }
  writeFileSync(join(dir, 'keys', 'secret'), UPSTREAM_SECRET, { mode: 0o600 })
  const policies = join(import.meta.dirname, '..', '..', 'policies')
  for (const file of readdirSync(join(policies, 'default'))) {
    cpSync(join(policies, 'default', file), join(dir, 'policies', file))
  }
  cpSync(join(policies, 'schema.cedarschema'), join(dir, 'policies', 'schema.cedarschema'))
  const yaml = toYaml(options)
  writeFileSync(join(dir, 'unbearer.yaml'), yaml, { mode: 0o600 })
  return parseConfig(yaml, { dir, file: join(dir, 'unbearer.yaml') })
}

function toYaml({ upstream, store, mode, yaml, limits, deadline, port, issuer }: InstallationOptions): string {
  const where = 'url' in upstream ? `url: ${upstream.url}` : `command: ${JSON.stringify(upstream.command)}`
  return `issuer: ${issuer ?? ISSUER}
listen: 127.0.0.1:${port ?? 0}
deployment: same-user
mode: ${mode ?? 'enforce'}
store: '${store === 'sqlite' ? 'sqlite:./state/unbearer.db' : 'memory:'}'
audit: { head: ./head/unbearer.head, checkpointKey: { file: ./keys/log.jwk } }
keys: { issuer: { file: ./keys/issuer.jwk } }
engine: [{ kind: cedar, policies: ./policies }]
manifests: ./manifests
upstreams:
  - { name: ${SERVER}, kind: mcp, ${where}, secrets: { X_SECRET: { file: ./keys/secret } } }
limits: { deadline: ${deadline ?? '5s'}${limits === undefined ? '' : `, ${limits}`} }
${yaml ?? ''}`
}

async function enrolAll(services: Services, keys: Readonly<Record<Name, KeyPair>>): Promise<Record<Name, EnrolledKey>> {
  const found: Partial<Record<Name, EnrolledKey>> = {}
  for (const name of NAMES) {
    const jwk = { ...keys[name].jwk }
    found[name] = await services.keys.enrol({ role: ENROLLED[name], name, jwk, by: 'system' })
  }
  return toRecord((name) => {
    const key = found[name]
    if (key === undefined) throw new Error(`no key ${name}`)
    return key
  })
}

/** Says yes to what the file says, as `init` does. */
async function observe(services: Services, key: KeyPair, by: EnrolledKey): Promise<void> {
  const at = Date.now()
  const act = signObserve(key, ISSUER, { id: newId(), at, expires: at + 3_600_000, configured: true, note: 'trial' })
  await services.modes.observe(asJson(act), by)
}

/** Accepts the tools as the operator would, and tells the running server. */
async function acceptTools(dir: string, { composed }: Serving, key: KeyPair): Promise<void> {
  writeManifest(dir, key)
  await composed.manifests.reload()
}

export function writeManifest(dir: string, key: KeyPair): void {
  const { manifest } = draftManifest(SERVER, { descriptors: DESCRIPTORS, methods: [] })
  const accepted = acceptManifest(judge(manifest), { by: key.jkt, at: new Date().toISOString(), key })
  writeFileSync(join(dir, 'manifests', `${SERVER}.yaml`), toManifestYaml(accepted))
}

async function readEntries({ composed: { store } }: Serving): Promise<readonly LogEntry[]> {
  return toEntries(await store.log.entries(0, await store.log.size()))
}

export function toEntries(bytes: readonly Uint8Array[]): readonly LogEntry[] {
  return bytes.map((each) => {
    const entry: LogEntry = JSON.parse(new TextDecoder().decode(each))
    return entry
  })
}

async function readEvidence(
  { composed: { store } }: Serving,
  id: string,
): Promise<{ salts: JsonObject; values: JsonObject }> {
  const bytes = await store.evidence(id)
  const opened = bytes === undefined ? {} : parseJson(bytes, { numbers: 'any' })
  const { salts, values } = isJsonObject(opened) ? opened : {}
  return { salts: isJsonObject(salts) ? salts : {}, values: isJsonObject(values) ? values : {} }
}
