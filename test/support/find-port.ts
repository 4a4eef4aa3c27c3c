/**
 * @module
 * A port that is free on the loopback, for a server whose issuer has to name it before it listens.
 */
import { createServer } from 'node:net'

/** Does not promise that it stays free. */
export async function findPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
