/**
 * @module
 * Chooses the transport of a connection.
 */
import { createHttpConnection } from './http-upstream.ts'
import { createStdioConnection } from './stdio-upstream.ts'
import type { UpstreamConfig } from './types.ts'
import type { ConnectionOptions, UpstreamConnection } from './upstream.ts'

/** Opens a connection; a command is started at once, a URL is not yet asked. */
export function createConnection(config: UpstreamConfig, options: ConnectionOptions): UpstreamConnection {
  return config.url === undefined
    ? createStdioConnection(config, options)
    : createHttpConnection({ ...config, url: config.url }, options)
}
