/**
 * @module
 * What of a configuration can be replaced while it serves. Everything else is named in an error, so that nobody believes that
 * a change is in force which is not.
 */
import { createSecureContext } from 'node:tls'

import { ConfigError } from '../core/errors.ts'
import type { Config } from './load.ts'

/** Keys that are built anew. A key that is not among these, of this version or a later one, needs a restart. */
const REPLACED: readonly string[] = [
  'mode',
  'modes',
  'engine',
  'operators',
  'manifests',
  'upstreams',
  'audiences',
  'trust',
  'tls',
  'limits.deadline',
  'limits.approvalsPerTask',
  'limits.messageBytes',
  'limits.answer',
  'credential',
  'anomaly',
]

/** Throws `ConfigError` that names the first key that differs and cannot be replaced. Does not look at the files it names. */
export function assertReloadable(current: Config, next: Config): void {
  const changed = differences(flatten(current), flatten(next)).find((key) => !isReplaced(key))
  if (changed !== undefined)
    throw new ConfigError(`\`${changed}\` cannot be changed while the server runs, restart it or put the value back`)
  if ((current.tls === undefined) !== (next.tls === undefined))
    throw new ConfigError('`tls` cannot be added or taken away while the server runs, restart it')
  if (current.tls?.clientCertificates !== next.tls?.clientCertificates)
    throw new ConfigError('`tls.clientCertificates` cannot be changed while the server runs, restart it')
}

function isReplaced(key: string): boolean {
  return REPLACED.some((replaced) => key === replaced || key.startsWith(`${replaced}.`))
}

/** Two levels are enough to name a key; what lies deeper is compared as a whole. */
function flatten(config: Config): ReadonlyMap<string, string> {
  const pairs = Object.entries(config).flatMap(([key, value]: [string, unknown]): [string, string][] =>
    isGroup(value)
      ? Object.entries(value).map(([inner, member]: [string, unknown]) => [`${key}.${inner}`, toText(member)])
      : [[key, toText(value)]],
  )
  return new Map(pairs)
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !('reveal' in value)
}

/** A secret is compared by its place: it says so when it is turned into JSON, and its value is not there. */
function toText(value: unknown): string {
  return value === undefined ? '' : JSON.stringify(value)
}

function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): readonly string[] {
  return [...new Set([...a.keys(), ...b.keys()])].filter((key) => a.get(key) !== b.get(key)).toSorted()
}

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** The certificate and its key, read and tried together. Throws `ConfigError` without anything of the key in it. */
export function readCertificate(tls: NonNullable<Config['tls']>): Certificate {
  const pair = { cert: tls.cert.reveal(), key: tls.key.reveal() }
  try {
    createSecureContext(pair)
    return pair
  } catch {
    // The cause is left out: it may quote what it could not read.
    throw new ConfigError('`tls`: the certificate and the key cannot be used together, are both in PEM form')
  }
}
