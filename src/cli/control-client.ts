/**
 * @module
 * Calls the control plane as a key: in this process where nobody else has the store open, otherwise at the running server.
 *
 * The store's fence says whether a server runs, not the port: whoever sits on our port while the server is down must not be
 * able to answer that somebody was revoked.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

import type { Config } from '../config/load.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { ConfigError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { importKey, readKeyFile, signBytes, verifyBytes, type KeyPair } from '../crypto/keys.ts'
import { printNotice, type Call } from './command.ts'
import { toPassphrase } from './passphrase.ts'
import { assertNotSpawned } from './spawned.ts'
import { trustAlso, trustOnly } from './trust.ts'

/** A way to call the control plane as one key. */
export interface ControlClient {
  readonly key: KeyPair
  call(method: string, params: JsonObject): Promise<Json>
}

export interface ControlAddress {
  /** The file of the private key that asks. */
  readonly keyFile: string
  /** Asked only when the key is sealed. */
  readonly passphrase: () => Promise<string>
  /** A running server, or the configuration that says where the state is. */
  readonly at: { readonly server: string } | { readonly config: Config }
}

export interface AddressOptions {
  /** The option that names the key that asks, where `--key` is something else. */
  readonly keyOption?: string
  readonly passphraseOption?: string
}

/**
 * The address of a command: `--server` or `--config`, `--key` (default `keys/<role>.jwk` beside the configuration), `--ca`.
 * With `--server` and `--key` no configuration is read: that is another machine. Throws `RefusedError` when the command was
 * started by a tool server of the gateway.
 */
export async function toAddress(
  call: Call,
  role: 'operator' | 'host' | 'approver',
  options: AddressOptions = {},
): Promise<ControlAddress> {
  // The application around agents is a program, and may well be started by another one; the others are people.
  if (role !== 'host') assertNotSpawned()
  const { keyOption = 'key', passphraseOption } = options
  const [server, given, ca] = [call.text('server'), call.text(keyOption), call.text('ca')]
  const passphrase = toPassphrase(call, passphraseOption)
  if (ca !== undefined) trustOnly(ca)
  if (server !== undefined && given !== undefined) return { at: { server }, keyFile: given, passphrase }
  const config = await loadOrExplain(call, server, keyOption)
  const keyFile = given ?? join(config.dir, 'keys', `${role}.jwk`)
  if (ca === undefined && server === undefined) trustOwn(config)
  return { at: server === undefined ? { config } : { server }, keyFile, passphrase }
}

async function loadOrExplain(call: Call, server: string | undefined, keyOption: string): Promise<Config> {
  const { loadConfig } = await import('../config/load.ts')
  try {
    return await loadConfig(call.config)
  } catch (cause) {
    if (server === undefined || call.text('config') !== undefined) throw cause
    throw new ConfigError(
      `with \`--server\` and without a configuration, say which key asks: \`--${keyOption} FILE.jwk\``,
      {
        cause,
      },
    )
  }
}

/** What the configuration says that it is reached under; a certificate that signed itself vouches for itself. */
function trustOwn({ tls }: Config): void {
  if (tls?.ca !== undefined) trustOnly(tls.ca)
  else if (tls !== undefined && 'file' in tls.cert.source) trustAlso(tls.cert.source.file)
}

/**
 * Runs `work` with a client and closes what was opened. Throws `ConfigError` for an unusable key, `RefusedError` for a key
 * that is not enrolled, `UnavailableError` when the store is taken and no server answers.
 */
export async function withControl<T>(address: ControlAddress, work: (client: ControlClient) => Promise<T>): Promise<T> {
  const { at, keyFile, passphrase } = address
  const key = await readKeyFile(keyFile, passphrase)
  if (key.privateKey === undefined) throw new ConfigError(`\`${keyFile}\` holds a public key, a private one is needed`)
  if ('server' in at) return work(await toRemote(at.server, key))
  if (at.config.store.kind === 'memory') return work(await toRemote(toOrigin(at.config), key))
  const opened = await openLocally(at.config)
  if (opened === undefined) return work(await toRemote(toOrigin(at.config), key))
  try {
    const by = await prove(await opened.services.keys.find(key.jkt), key)
    return await work({ key, call: async (method, params) => opened.control.call(method, params, by) })
  } finally {
    await opened.close()
  }
}

/** One call; see `withControl`. */
export async function callOnce(address: ControlAddress, method: string, params: JsonObject): Promise<Json> {
  return withControl(address, async (client) => client.call(method, params))
}

type Installation = Awaited<ReturnType<typeof import('../config/compose.ts').openInstallation>>

/** Undefined when another process has the store open: then that one is asked. */
async function openLocally(config: Config): Promise<Installation | undefined> {
  const { openInstallation } = await import('../config/compose.ts')
  try {
    return await openInstallation(config, printNotice)
  } catch (fault) {
    if (fault instanceof UnavailableError) return undefined
    throw fault
  }
}

/** Whoever calls in this process holds the private key too: it signs something fresh that the enrolled key verifies. */
async function prove(enrolled: EnrolledKey | undefined, key: KeyPair): Promise<EnrolledKey> {
  if (enrolled === undefined) throw new RefusedError('identity.unknown-key', 'this key is not enrolled here')
  const challenge = randomBytes(32)
  if (verifyBytes(importKey({ ...enrolled.jwk }), challenge, signBytes(key, challenge))) return enrolled
  throw new RefusedError('identity.bad-proof', 'this key does not prove what is enrolled under it')
}

async function toRemote(origin: string, key: KeyPair): Promise<ControlClient> {
  const { callControl } = await import('../client/index.ts')
  return { key, call: async (method, params) => callControl({ url: origin, key, method, params }) }
}

/** Where a listener on a port that was free says what it is; beside the store, which has one writer. */
export function portFile({ store, dir }: Config): string {
  return join(store.kind === 'sqlite' ? dirname(store.path) : dir, 'listening')
}

function toOrigin(config: Config): string {
  const { origin, listen, tls } = config
  if (listen.port === 0 && origin === undefined) return readPort(config)
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  return origin ?? `${tls === undefined ? 'http' : 'https'}://${host}:${listen.port}`
}

function readPort(config: Config): string {
  const text = attemptRead(portFile(config))
  if (/^http:\/\/(?:127\.0\.0\.1|\[::1\]):\d{1,5}$/.test(text)) return text
  throw new UnavailableError('another process has the store open and does not say where it listens, try again')
}

function attemptRead(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
