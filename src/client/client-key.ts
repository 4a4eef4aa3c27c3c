/**
 * @module
 * The key of whoever uses the client, in any of the forms in which it may be at hand.
 */
import { ConfigError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { importKey, readKeyFile, type KeyPair, type PrivateJwk } from '../crypto/keys.ts'

/** A path to a JWK file, a private JWK, or a key that was imported already. */
export type ClientKey = string | PrivateJwk | JsonObject | KeyPair

/** The key, with its private part. Throws `ConfigError` or `InputError`, never with anything of the key in it. */
export async function openClientKey(key: ClientKey): Promise<KeyPair> {
  const opened = typeof key === 'string' ? await readKeyFile(key) : isKeyPair(key) ? key : importKey({ ...key })
  if (opened.privateKey === undefined) throw new ConfigError('signing needs a private key')
  return opened
}

function isKeyPair(key: Exclude<ClientKey, string>): key is KeyPair {
  return 'publicKey' in key && 'jkt' in key
}
