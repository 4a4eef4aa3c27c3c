/** @module stub, filled in next. */
import type { Readable, Writable } from 'node:stream'

import type { Fetch } from './send.ts'

export interface StdioBridgeOptions {
  readonly url: string | URL
  readonly fetch: Fetch
  readonly input: Readable
  readonly output: Writable
}

export async function runStdioBridge(_options: StdioBridgeOptions): Promise<void> {}
