/**
 * @module
 * Sessions at several servers as one, for the one endpoint: what all of them can do, and what any of them tells.
 */
import { isJsonObject, type Json, type JsonObject } from '../../index.ts'
import { readEvents } from './sse.ts'

/**
 * What at least one of the servers can do. A switch, such as `subscribe`, is on where one of them has it on; any other member is
 * that of the last server that has it.
 */
export function mergeCapabilities(several: readonly JsonObject[]): JsonObject {
  const merged: Record<string, Json> = {}
  for (const [name, given = null] of several.flatMap((each) => Object.entries(each))) {
    const known = merged[name]
    merged[name] = isJsonObject(known) && isJsonObject(given) ? mergeSwitches(known, given) : given
  }
  return merged
}

function mergeSwitches(known: JsonObject, given: JsonObject): JsonObject {
  const on = Object.entries(known).filter(([, value]) => value === true)
  return { ...known, ...given, ...Object.fromEntries(on) }
}

export interface Merging {
  /** The stream of the session at one of the servers. */
  readonly open: (upstream: string) => Promise<Response>
  readonly tell: (message: string) => void
}

/** Characters of one event; the gateway's own are smaller. */
const LIMIT = 1 << 20

/** Tells what is told on the streams of several sessions, for as long as these last. Never rejects. */
export async function mergeStreams(upstreams: Iterable<string>, { open, tell }: Merging): Promise<void> {
  const follow = async (upstream: string): Promise<void> => {
    const response = await open(upstream)
    if (!response.ok) return
    for await (const data of readEvents(response.body, LIMIT)) tell(data)
  }
  await Promise.allSettled([...upstreams].map(follow))
}
