/**
 * @module
 * Which certificates this process takes from a server. A gateway often has one of its own authority, or has signed its own.
 */
import { readFileSync } from 'node:fs'
import * as tls from 'node:tls'

import { ConfigError } from '../core/errors.ts'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/**
 * From here on this process trusts the certificates in `path` and no others, not even those of the system: who can get a
 * certificate from a public authority is not our gateway. Throws `ConfigError` when there is none in the file. Does not verify
 * anything by itself.
 */
export function trustOnly(path: string): void {
  if (isOld(tls)) throw new ConfigError(`${OLD} \`--ca\`: take 22.19 or newer, or set NODE_EXTRA_CA_CERTS`)
  tls.setDefaultCACertificates(readCertificates(path))
}

/** Trusts the certificates in `path` beside those of the system, where that is possible and there are any. Never throws. */
export function trustAlso(path: string): void {
  if (isOld(tls)) return
  try {
    tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...readCertificates(path)])
  } catch {
    // Then the connection says what is wrong with the certificate.
  }
}

const OLD = 'this Node is too old for'

/** Node 22.18, on which we still run, cannot change what is trusted after the start. */
function isOld(module: object): boolean {
  return !('setDefaultCACertificates' in module)
}

function readCertificates(path: string): string[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be read`, { cause })
  }
  const found = text.match(CERTIFICATE)
  if (found === null) throw new ConfigError(`\`${path}\` holds no certificate in PEM form`)
  return [...found]
}
