/**
 * @module
 * `Signature-Key`: the public key of a signature, sent along. A resource server knows agents by thumbprint alone, and the
 * thumbprint in the credential says whether this is the key; nobody has to believe the header.
 */
import { importPublicKey, type KeyPair } from './keys.ts'

const OKP = /^sig=hwk;kty="(OKP)";crv="(Ed25519)";x="([\w-]{43})"$/
const EC = /^sig=hwk;kty="(EC)";crv="(P-256)";x="([\w-]{43})";y="([\w-]{43})"$/

/** The key, if it is one of ours with this thumbprint. Only the one serialisation is read. */
export function readSignatureKey(header: string | readonly string[] | undefined, jkt: string): KeyPair | undefined {
  const [line] = [header ?? []].flat()
  const [, kty, crv, x, y] = OKP.exec(line ?? '') ?? EC.exec(line ?? '') ?? []
  if (kty === undefined || crv === undefined || x === undefined) return undefined
  try {
    const key = importPublicKey({ kty, crv, x, ...(y === undefined ? {} : { y }) })
    return key.jkt === jkt ? key : undefined
  } catch {
    return undefined
  }
}

/** The header for a key. */
export function toSignatureKey({ jwk }: KeyPair): string {
  const { kty, crv, x } = jwk
  return `sig=hwk;kty="${kty}";crv="${crv}";x="${x}"${'y' in jwk ? `;y="${jwk.y}"` : ''}`
}
