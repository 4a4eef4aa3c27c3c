/**
 * @module
 * The eras of MCP, and what a request of the later one (2026-07-28, "Per-Request Metadata") carries in its `_meta`. The gateway
 * relays both eras and translates neither into the other.
 */
import { isJsonObject, type JsonObject } from '../../index.ts'
import { toImplementation } from './plain-words.ts'

/** `sessions`: begun by `initialize` (2024-11-05 to 2025-11-25). `stateless`: each request says everything by itself. */
export type Era = 'sessions' | 'stateless'

export const STATELESS_VERSION = '2026-07-28'
export const SESSION_VERSIONS: readonly string[] = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05']
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'

const PREFIX = 'io.modelcontextprotocol/'
const VERSION_KEY = `${PREFIX}protocolVersion`
const CAPABILITIES_KEY = `${PREFIX}clientCapabilities`
const INFO_KEY = `${PREFIX}clientInfo`
const LOG_LEVEL_KEY = `${PREFIX}logLevel`
/** The id of the request that opened a subscription, in the `_meta` of what is told on it. */
export const SUBSCRIPTION_KEY: string = `${PREFIX}subscriptionId`
export const SERVER_INFO_KEY: string = `${PREFIX}serverInfo`

export const LOG_LEVELS: readonly string[] = [
  'debug',
  'info',
  'notice',
  'warning',
  'error',
  'critical',
  'alert',
  'emergency',
]

/** The era that the `params` of a request claim; only a request of the later one names its version. */
export function toEra(params: JsonObject): Era {
  return toMeta(params)[VERSION_KEY] === undefined ? 'sessions' : 'stateless'
}

/** The version that the `params` name, whatever it is worth. */
export function findVersion(params: JsonObject): JsonObject[string] {
  return toMeta(params)[VERSION_KEY]
}

/** False where a required member is missing: the version as a text and the capabilities as an object. */
export function isWholeEnvelope(params: JsonObject): boolean {
  const meta = toMeta(params)
  return typeof meta[VERSION_KEY] === 'string' && isJsonObject(meta[CAPABILITIES_KEY])
}

/** True where the client says that it can do this: `elicitation`, `sampling`, `roots`. */
export function hasCapability(params: JsonObject, name: string): boolean {
  const capabilities = toMeta(params)[CAPABILITIES_KEY]
  return isJsonObject(capabilities) && isJsonObject(capabilities[name])
}

/**
 * The envelope as it goes to a server: written anew, with plain names and the one capability that is relayed, because nobody decided about
 * it. Does not promise that a client can do what it says.
 */
export function toEnvelope(params: JsonObject): JsonObject {
  const meta = toMeta(params)
  const { [CAPABILITIES_KEY]: capabilities, [LOG_LEVEL_KEY]: level } = meta
  return {
    [VERSION_KEY]: STATELESS_VERSION,
    [INFO_KEY]: toImplementation(meta[INFO_KEY]),
    [CAPABILITIES_KEY]: toCapabilities(capabilities),
    ...(typeof level === 'string' && LOG_LEVELS.includes(level) ? { [LOG_LEVEL_KEY]: level } : {}),
  }
}

/** What servers may ask of a client within an answer: a person, and neither the model nor the folders. */
function toCapabilities(value: JsonObject[string]): JsonObject {
  const { elicitation } = isJsonObject(value) ? value : {}
  if (!isJsonObject(elicitation)) return {}
  const modes = ['form', 'url'].filter((mode) => isJsonObject(elicitation[mode]))
  return { elicitation: Object.fromEntries(modes.map((mode) => [mode, {}])) }
}

function toMeta(params: JsonObject): JsonObject {
  const { _meta: meta } = params
  return isJsonObject(meta) ? meta : {}
}
