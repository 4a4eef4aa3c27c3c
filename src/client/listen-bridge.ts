/** @module stub, filled in next. */
import { ConfigError } from '../core/errors.ts'
import type { Fetch } from './send.ts'

export interface ListenBridgeOptions {
  readonly url: string | URL
  readonly fetch: Fetch
  /** `host:port` of a loopback address; port 0 takes any. */
  readonly listen: string
}

export interface ListenBridge {
  /** Where local clients connect. */
  readonly url: URL
  close(): Promise<void>
}

export async function runListenBridge(_options: ListenBridgeOptions): Promise<ListenBridge> {
  throw new ConfigError('not there yet')
}
