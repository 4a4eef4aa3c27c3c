/**
 * @module
 * The keys of one issuer: one signs, some may still verify.
 */
import { decodeJwt } from './jwt.ts'
import type { KeyPair } from './keys.ts'

export interface IssuerKeys {
  /** The one that signs now. */
  current(): KeyPair
  /** A key under which something that is still in force may verify, by its thumbprint. */
  find(kid: string): KeyPair | undefined
}

/** One key, or several. */
export function toIssuerKeys(given: KeyPair | IssuerKeys): IssuerKeys {
  if ('current' in given) return given
  return { current: () => given, find: (kid) => (kid === given.jkt ? given : undefined) }
}

/**
 * The key that a credential says it was signed with, if it is one of `keys`; undefined otherwise. The header chooses among
 * our own keys only. Verifies nothing.
 */
export function findSigner(keys: Pick<IssuerKeys, 'find'>, compact: string): KeyPair | undefined {
  const kid = decodeJwt(compact)?.header['kid']
  return typeof kid === 'string' ? keys.find(kid) : undefined
}
