/**
 * @module
 * Calls the control plane as a key: in this process where nobody else has the store open, otherwise at the running server.
 *
 * The store's fence says whether a server runs, not the port: whoever sits on our port while the server is down must not be
 * able to answer that somebody was revoked.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import type { Config } from '../config/load.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { ConfigError, RefusedError, UnavailableError } from '../core/errors.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { importKey, readKeyFile, signBytes, verifyBytes, type KeyPair } from '../crypto/keys.ts'
import { printNotice, type Call } from './command.ts'

/** A way to call the control plane as one key. */
export interface ControlClient {
  readonly key: KeyPair
  call(method: string, params: JsonObject): Promise<Json>
}

export interface ControlAddress {
  readonly config: Config
  /** The file of the private key that asks. */
  readonly keyFile: string
  /** A running server; without it the configuration decides. */
  readonly server?: string
}

/** The address of a command: `--config`, `--key` (default `keys/<role>.jwk`), `--server`. */
export async function toAddress(call: Call, role: 'operator' | 'host' | 'approver'): Promise<ControlAddress> {
  const { loadConfig } = await import('../config/load.ts')
  const config = await loadConfig(call.config)
  const server = call.text('server')
  return {
    config,
    keyFile: call.text('key') ?? join(config.dir, 'keys', `${role}.jwk`),
    ...(server === undefined ? {} : { server }),
  }
}

/**
 * Runs `work` with a client and closes what was opened. Throws `ConfigError` for an unusable key, `RefusedError` for a key
 * that is not enrolled, `UnavailableError` when the store is taken and no server answers.
 */
export async function withControl<T>(address: ControlAddress, work: (client: ControlClient) => Promise<T>): Promise<T> {
  const key = await readKeyFile(address.keyFile)
  if (key.privateKey === undefined)
    throw new ConfigError(`\`${address.keyFile}\` holds a public key, a private one is needed`)
  if (address.server !== undefined) return work(await toRemote(address.server, key))
  if (address.config.store.kind === 'memory') return work(await toRemote(toOrigin(address.config), key))
  const opened = await openLocally(address.config)
  if (opened === undefined) return work(await toRemote(toOrigin(address.config), key))
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

function toOrigin({ origin, listen, tls }: Config): string {
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host
  return origin ?? `${tls === undefined ? 'http' : 'https'}://${host}:${listen.port}`
}
