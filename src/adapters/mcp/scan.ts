/**
 * @module
 * Reads the descriptors of every tool of a server, over all pages, so that a person can accept them.
 */
import { InputError, isJsonObject, parseJson, UnavailableError, type Json, type JsonObject } from '../../index.ts'
import { toToolList } from './catalogue.ts'
import { createConnection } from './connect.ts'
import { STATELESS_VERSION } from './envelope.ts'
import { findServed } from './era.ts'
import { readAllPages } from './pages.ts'
import { toStatelessConnection } from './stateless.ts'
import type { UpstreamConfig } from './types.ts'
import type { UpstreamConnection } from './upstream.ts'

/** What `tools scan` asks for at `initialize`; a server may answer with an older version. */
const PROTOCOL_VERSION = '2025-06-18'
const MESSAGE_BYTES = 16 * 1024 * 1024
/** Milliseconds for a server to start and answer. */
const PATIENCE = 60_000

/** A server to ask, or its descriptors as they were written down, one JSON object on each line. */
export type ScanSource = { readonly upstream: Omit<UpstreamConfig, 'name' | 'kind'> } | { readonly jsonl: string }

export interface Scanned {
  /** The descriptors as the server showed them, in its order; names are unique. */
  readonly descriptors: readonly JsonObject[]
  /** Decided methods beside `tools/call` that the server offers: `resources/read`, `prompts/get`. */
  readonly methods: readonly string[]
}

/**
 * Lists all tools. Throws `UnavailableError` when the server does not answer properly or has two tools of one name, and
 * `InputError` for a line that is no descriptor. Runs a stdio server to do so; calls none of its tools. Does not promise
 * that the server shows others what it showed here: the gateway compares in each session.
 */
export async function scanTools(source: ScanSource): Promise<Scanned> {
  if ('jsonl' in source) return { descriptors: assertNames(parseLines(source.jsonl)), methods: [] }
  const connection = createConnection(
    { ...source.upstream, name: 'scan', kind: 'mcp' },
    { limit: MESSAGE_BYTES, onSignal: () => undefined, onProblem: () => undefined },
  )
  try {
    const { capabilities, adapted } = await introduce(connection)
    const { items } = await readAllPages(adapted, { method: 'tools/list', member: 'tools' })
    return { descriptors: assertNames(items), methods: toMethods(capabilities) }
  } finally {
    await connection.close()
  }
}

function parseLines(text: string): readonly JsonObject[] {
  return text.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return []
    const value: Json = parseJson(line, { numbers: 'any' })
    if (!isJsonObject(value)) throw new InputError(`line ${index + 1} is not a descriptor`)
    return [value]
  })
}

function assertNames(items: readonly JsonObject[]): readonly JsonObject[] {
  toToolList({ frame: {}, items })
  return items
}

interface Introduced {
  readonly capabilities: JsonObject
  /** The connection as the era of the server uses it. */
  readonly adapted: UpstreamConnection
}

/** In the earlier era where the server has it: most clients speak that. */
async function introduce(connection: UpstreamConnection): Promise<Introduced> {
  const params = { protocolVersion: PROTOCOL_VERSION, capabilities: {}, clientInfo: { name: 'unbearer', version: '0' } }
  const signal = AbortSignal.timeout(PATIENCE)
  const answer = await connection.call({ method: 'initialize', params }, { signal })
  const { protocolVersion, capabilities } = answer.value
  if (answer.member === 'error' && findServed(answer.value)?.includes(STATELESS_VERSION) === true)
    return introduceLater(connection)
  if (answer.member === 'error' || typeof protocolVersion !== 'string') {
    throw new UnavailableError('the tool server did not initialise')
  }
  connection.agree(protocolVersion)
  await connection.notify('notifications/initialized')
  return { capabilities: isJsonObject(capabilities) ? capabilities : {}, adapted: connection }
}

async function introduceLater(connection: UpstreamConnection): Promise<Introduced> {
  const adapted = toStatelessConnection(connection)
  const signal = AbortSignal.timeout(PATIENCE)
  const { member, value } = await adapted.call({ method: 'server/discover', params: {} }, { signal })
  if (member === 'error') throw new UnavailableError('the tool server did not say what it is')
  adapted.agree(STATELESS_VERSION)
  const { capabilities } = value
  return { capabilities: isJsonObject(capabilities) ? capabilities : {}, adapted }
}

function toMethods(capabilities: JsonObject): readonly string[] {
  return [
    ...(isJsonObject(capabilities['resources']) ? ['resources/read'] : []),
    ...(isJsonObject(capabilities['prompts']) ? ['prompts/get'] : []),
  ]
}
