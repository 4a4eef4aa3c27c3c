/**
 * @module
 * Our own private keys, from where the configuration says that they are.
 */
import { ConfigError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { importKey, type KeyPair } from '../crypto/keys.ts'
import type { Secret } from './secrets.ts'

/** The private key in a secret. Throws `ConfigError` that names `name`, the key of the configuration, and never the value. */
export function readKey(secret: Secret, name: string): KeyPair {
  const text = secret.reveal()
  try {
    const jwk = parseJson(text)
    const key = isJsonObject(jwk) ? importKey(jwk) : undefined
    if (key?.privateKey !== undefined) return key
  } catch {
    // Falls through: what the parser or the import says stays here.
  }
  throw new ConfigError(`\`${name}\` is not a private Ed25519 or P-256 JWK, run \`unbearer init\``)
}
