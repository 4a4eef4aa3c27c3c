/**
 * @module
 * Every JSON-RPC method in each direction and era, and what the gateway does with it. What is not in the table is refused, and
 * so is every member of `params` that a row does not name: what an upstream receives is what was decided.
 */

import type { Era } from './envelope.ts'

/**
 * `decide`: goes through the PEP. `pass`: carries no action; the gateway writes the message anew.
 * `listen`: what is asked for is decided, and the answer is a stream. `list`: the gateway reads all pages itself. `refuse`: known, and not served in this era or version.
 */
export type Disposition = 'decide' | 'listen' | 'pass' | 'list' | 'refuse'

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

/** What a client adds when it comes back with what an `input_required` result asked for. */
const RETRY = ['inputResponses', 'requestState']
const refused = (kind: ClientMethod['kind'] = 'request'): ClientMethod => ({ kind, disposition: 'refuse', params: [] })

const LISTS: readonly (readonly [string, ClientMethod])[] = [
  ['tools/list', list('tools')],
  ['resources/list', list('resources')],
  ['resources/templates/list', list('resourceTemplates')],
  ['prompts/list', list('prompts')],
]

export const CLIENT_METHODS: Readonly<Record<Era, ReadonlyMap<string, ClientMethod>>> = {
  sessions: new Map([
    ['initialize', request('pass', ['protocolVersion', 'capabilities', 'clientInfo'])],
    ['ping', request('pass', [])],
    ['logging/setLevel', request('pass', ['level'])],
    ...LISTS,
    ['tools/call', request('decide', ['name', 'arguments'])],
    ['resources/read', request('decide', ['uri'])],
    ['resources/subscribe', request('decide', ['uri'])],
    ['prompts/get', request('decide', ['name', 'arguments'])],
    ['completion/complete', request('decide', ['ref', 'argument', 'context'])],
    ['resources/unsubscribe', request('pass', ['uri'])],
    ['tasks/get', refused()],
    ['tasks/result', refused()],
    ['tasks/list', refused()],
    ['tasks/cancel', refused()],
    ['tasks/update', refused()],
    ['server/discover', refused()],
    ['subscriptions/listen', refused()],
    ['notifications/initialized', notification([])],
    ['notifications/cancelled', notification(['requestId', 'reason'])],
    ['notifications/roots/list_changed', notification([])],
  ]),
  stateless: new Map([
    ['server/discover', request('pass', [])],
    ['subscriptions/listen', request('listen', ['notifications'])],
    ...LISTS,
    ['tools/call', request('decide', ['name', 'arguments', ...RETRY])],
    ['resources/read', request('decide', ['uri', ...RETRY])],
    ['prompts/get', request('decide', ['name', 'arguments', ...RETRY])],
    ['completion/complete', request('decide', ['ref', 'argument', 'context'])],
    ['tasks/get', refused()],
    ['tasks/update', refused()],
    ['tasks/cancel', refused()],
    ['tasks/result', refused()],
    ['tasks/list', refused()],
    ['initialize', refused()],
    ['ping', refused()],
    ['logging/setLevel', refused()],
    ['resources/subscribe', refused()],
    ['resources/unsubscribe', refused()],
    ['notifications/cancelled', notification(['requestId', 'reason'])],
    ['notifications/initialized', refused('notification')],
    ['notifications/roots/list_changed', refused('notification')],
  ]),
}

/** The row of a method that a client may send; undefined is unknown, in any other spelling or case too. */
export function findClientMethod(era: Era, method: string): ClientMethod | undefined {
  return CLIENT_METHODS[era].get(method)
}

/**
 * What a server may send on its own account. `label`: relayed once its content was labelled. `signal`: relayed without
 * its content, an update of a resource only where the session subscribed to it. `answer`: answered by the gateway. `drop`: not relayed. `refuse`: a request, answered with an error.
 */
export type ServerDisposition = 'label' | 'signal' | 'answer' | 'drop' | 'refuse'

export const SERVER_METHODS: ReadonlyMap<string, ServerDisposition> = new Map([
  ['notifications/progress', 'label'],
  ['notifications/message', 'label'],
  ['notifications/resources/updated', 'signal'],
  ['notifications/tools/list_changed', 'signal'],
  ['notifications/resources/list_changed', 'signal'],
  ['notifications/prompts/list_changed', 'signal'],
  ['notifications/subscriptions/acknowledged', 'signal'],
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
