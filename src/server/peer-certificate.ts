/**
 * @module
 * The certificate of whoever is on the other end of a connection, where this process ended its TLS. Headers that say so are never
 * read: whoever can reach the listener can write them.
 */
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

import { readClientCertificate, type ClientCertificate } from '../crypto/client-certificate.ts'

/** Read once for each connection. */
const READ = new WeakMap<TLSSocket, { readonly certificate?: ClientCertificate }>()

/** Undefined without TLS, without a certificate, and for one that cannot be read. */
export function peerCertificate({ socket }: IncomingMessage): ClientCertificate | undefined {
  if (!(socket instanceof TLSSocket)) return undefined
  const known = READ.get(socket)
  if (known !== undefined) return known.certificate
  const raw = socket.getPeerX509Certificate()?.raw
  const certificate = raw === undefined ? undefined : readClientCertificate(raw)
  READ.set(socket, certificate === undefined ? {} : { certificate })
  return certificate
}
