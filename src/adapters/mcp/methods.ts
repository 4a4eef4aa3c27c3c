/**
 * @module
 * Every JSON-RPC method in each direction, and what the gateway does with it. What is not in the table is refused, and
 * so is every member of `params` that a row does not name: what an upstream receives is what was decided.
 */

/**
 * `decide`: goes through the PEP. `pass`: carries no action; the gateway writes the message anew.
 * `list`: the gateway reads all pages itself. `refuse`: known, and not served in this version.
 */
type Disposition = 'decide' | 'pass' | 'list' | 'refuse'

export interface ClientMethod {
  readonly kind: 'request' | 'notification'
  readonly disposition: Disposition
  /** The members of `params` beside `_meta`. */
  readonly params: readonly string[]
  /** For a list: the member of the result that holds the list. */
  readonly member?: string
}

const request = (disposition: Disposition, params: readonly string[]): ClientMethod => ({
  kind: 'request',
  disposition,
  params,
})
const list = (member: string): ClientMethod => ({ kind: 'request', disposition: 'list', params: ['cursor'], member })
const notification = (params: readonly string[]): ClientMethod => ({
  kind: 'notification',
  disposition: 'pass',
  params,
})

const CLIENT_METHODS: ReadonlyMap<string, ClientMethod> = new Map([
  ['initialize', request('pass', ['protocolVersion', 'capabilities', 'clientInfo'])],
  ['ping', request('pass', [])],
  ['logging/setLevel', request('pass', ['level'])],
  ['tools/list', list('tools')],
  ['resources/list', list('resources')],
  ['resources/templates/list', list('resourceTemplates')],
  ['prompts/list', list('prompts')],
  ['tools/call', request('decide', ['name', 'arguments'])],
  ['resources/read', request('decide', ['uri'])],
  ['resources/subscribe', request('decide', ['uri'])],
  ['prompts/get', request('decide', ['name', 'arguments'])],
  ['completion/complete', request('decide', ['ref', 'argument', 'context'])],
  ['resources/unsubscribe', request('pass', ['uri'])],
  ['tasks/get', request('refuse', [])],
  ['tasks/result', request('refuse', [])],
  ['tasks/list', request('refuse', [])],
  ['tasks/cancel', request('refuse', [])],
  ['server/discover', request('refuse', [])],
  ['subscriptions/listen', request('refuse', [])],
  ['notifications/initialized', notification([])],
  ['notifications/cancelled', notification(['requestId', 'reason'])],
  ['notifications/roots/list_changed', notification([])],
])

/** The row of a method that a client may send; undefined is unknown, in any other spelling or case too. */
export function findClientMethod(method: string): ClientMethod | undefined {
  return CLIENT_METHODS.get(method)
}

/**
 * What a server may send on its own account. `label`: relayed once its content was labelled. `signal`: relayed without
 * its content, an update of a resource only where the session subscribed to it. `answer`: answered by the gateway. `drop`: not relayed. `refuse`: a request, answered with an error.
 */
export type ServerDisposition = 'label' | 'signal' | 'answer' | 'drop' | 'refuse'

const SERVER_METHODS: ReadonlyMap<string, ServerDisposition> = new Map([
  ['notifications/progress', 'label'],
  ['notifications/message', 'label'],
  ['notifications/resources/updated', 'signal'],
  ['notifications/tools/list_changed', 'signal'],
  ['notifications/resources/list_changed', 'signal'],
  ['notifications/prompts/list_changed', 'signal'],
  ['notifications/cancelled', 'drop'],
  ['notifications/tasks/status', 'drop'],
  ['notifications/elicitation/complete', 'drop'],
  ['ping', 'answer'],
  ['sampling/createMessage', 'refuse'],
  ['elicitation/create', 'refuse'],
  ['roots/list', 'refuse'],
])

/** What to do with a message that a server sends on its own account. Unknown means `refuse`. */
export function toServerDisposition(method: string): ServerDisposition {
  return SERVER_METHODS.get(method) ?? 'refuse'
}

/** The members of a JSON-RPC envelope, a closed set. */
export const ENVELOPE: readonly string[] = ['jsonrpc', 'id', 'method', 'params', 'result', 'error']
