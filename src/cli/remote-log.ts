/**
 * @module
 * The log of a server on another machine, as its operators may read it: entries and the newest checkpoint. Nodes of the tree
 * are computed here, so that nothing is believed that the entries do not show.
 */
import { UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { appendLeaf, EMPTY_FRONTIER, leafHash } from '../core/merkle.ts'
import { isJsonArray } from '../core/pointer.ts'
import type { LogReader } from '../ports/store.ts'
import type { ControlClient } from './control-client.ts'

/** As the server cuts its answers; more would only be cut there. */
const PAGE = 256

/**
 * Reads over `client`. Throws what its calls throw, and `UnavailableError` for an answer that is none. `indexOf` is not there:
 * ask for the entry. Does not verify anything: whoever compares the tree with a checkpoint and a key does.
 */
export function createRemoteLog(client: Pick<ControlClient, 'call'>): LogReader {
  const nodes = new Map<string, Uint8Array>()
  let frontier = EMPTY_FRONTIER
  const page = async (from: number, to: number): Promise<readonly Uint8Array[]> =>
    toEntries(await client.call('log.entries', { from, to }))
  const log: LogReader = {
    size: async () => toWhole(member(await client.call('log.head', {}), 'entries')),
    async checkpoint() {
      const found = member(await client.call('log.head', {}), 'checkpoint')
      return typeof found === 'string' ? found : undefined
    },
    async entries(start, end) {
      const found: Uint8Array[] = []
      while (start + found.length < end) {
        const more = await page(start + found.length, Math.min(end, start + found.length + PAGE))
        if (more.length === 0) break
        found.push(...more)
      }
      return found.slice(0, end - start)
    },
    indexOf: async () => Promise.resolve(undefined),
    async node(level, index) {
      const needed = (index + 1) * 2 ** level
      while (frontier.size < needed) {
        const more = await page(frontier.size, frontier.size + PAGE)
        if (more.length === 0) return undefined
        for (const bytes of more) {
          const added = appendLeaf(frontier, leafHash(bytes))
          frontier = added.frontier
          for (const node of added.completed) nodes.set(`${node.level}/${node.index}`, node.hash)
        }
      }
      return nodes.get(`${level}/${index}`)
    },
  }
  return log
}

function member(answer: Json, name: string): Json | undefined {
  return isJsonObject(answer) ? answer[name] : undefined
}

function toWhole(value: Json | undefined): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw new UnavailableError('the server did not say how long its log is')
}

function toEntries(answer: Json): readonly Uint8Array[] {
  const entries = member(answer, 'entries')
  if (!isJsonArray(entries)) throw new UnavailableError('the server did not answer with entries')
  return entries.map((entry) => Buffer.from(typeof entry === 'string' ? entry : '', 'utf8'))
}
