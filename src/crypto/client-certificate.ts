/**
 * @module
 * The certificate that a client showed in the handshake of TLS (RFC 8705). What counts is the key in it, which the handshake proved;
 * who signed the certificate, and what it says of its owner, is nobody's word here. Headers that say that there was a certificate are
 * never read: whoever can reach a listener can write them.
 */
import { hash, X509Certificate } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

import { isJsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { importPublicKey } from './keys.ts'

export interface ClientCertificate {
  /** RFC 7638 thumbprint of the key in it. */
  readonly jkt: string
  /** `x5t#S256` (RFC 8705 §3.1): base64url(SHA-256(DER)). */
  readonly x5t: string
}

/** Read once for each connection. */
const READ = new WeakMap<TLSSocket, { readonly certificate?: ClientCertificate }>()

/**
 * The certificate of whoever is on the other end of a connection that ended its TLS in this process. Undefined without TLS, without
 * a certificate, and for one that cannot be read.
 */
export function peerCertificate({ socket }: IncomingMessage): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const known = READ.get(socket)
  if (known !== undefined) return known.certificate
  const raw = socket.getPeerX509Certificate()?.raw
  const certificate = raw === undefined ? undefined : readClientCertificate(raw)
  READ.set(socket, certificate === undefined ? {} : { certificate })
  return certificate
}

/**
 * Reads a certificate in DER. Undefined for what is none, and for keys of other kinds than ours. Does not look at its times, its
 * names or its signature, and does not say that anybody proved the key: the TLS layer of this process does.
 */
function readClientCertificate(der: Uint8Array): ClientCertificate | undefined {
  try {
    const jwk = parseJson(JSON.stringify(new X509Certificate(der).publicKey.export({ format: 'jwk' })))
    return isJsonObject(jwk) ? { jkt: importPublicKey(jwk).jkt, x5t: hash('sha256', der, 'base64url') } : undefined
  } catch {
    return undefined
  }
}
