/**
 * @module
 * `authorization_details` (RFC 9396) of a request for an action credential: one element that names one action and holds it
 * whole, because the decision is over what will be sent and not over its digest.
 */
import { ACTION_DETAIL } from '../../core/credential.ts'
import { toHttpAction, type HttpMessage } from '../../core/http-action.ts'
import { readHttp, toDescriptor, type HttpOperation } from '../../core/http-operation.ts'
import { readArray, readObject, readText, type Field } from '../../core/grant-fields.ts'
import { hashOf, InputError, parseJson, type ActionBody, type IntentClaim } from '../../index.ts'

/** A resource server for which credentials are issued. */
export interface Audience {
  /** What grants, manifests, modes and policies call it, as they do upstreams. */
  readonly name: string
  /** `aud` of its credentials. */
  readonly url: string
  readonly operations: readonly HttpOperation[]
  /** Names of the enrolled `pep` keys that may redeem and look at credentials for it. */
  readonly peps: readonly string[]
}

export interface AskedAction {
  readonly audience: Audience
  readonly operation: HttpOperation
  /** With `arguments`: what is decided over (`toBoundAction` takes them off again). */
  readonly body: ActionBody
  readonly descriptorHash: string
  readonly intent?: IntentClaim
}

/**
 * Reads the one element. Throws `InputError` for an unknown type or member, for `locations`, `actions` or `identifier` that do
 * not name exactly what `action` is, and for an action that is no operation of the audience. `identifier` may be left out.
 */
export function parseActionDetail(text: string, audiences: readonly Audience[]): AskedAction {
  const elements = readArray({ path: 'authorization_details', value: parseJson(text) }, 1)
  const [element, ...others] = elements
  if (element === undefined || others.length > 0) throw new InputError('`authorization_details` holds one action')
  const fields = readObject(element, ['type', 'actions', 'locations', 'identifier', 'action', 'intent'])
  if (readText(fields.need('type')) !== ACTION_DETAIL) throw new InputError(`the only type is \`${ACTION_DETAIL}\``)
  const url = readOnly(fields.need('locations'))
  const audience = audiences.find((each) => each.url === url)
  if (audience === undefined) throw new InputError('`locations` names no audience of this issuer')
  const message = readMessage(fields.need('action'))
  if (readOnly(fields.need('actions')) !== message.method)
    throw new InputError('`actions` must name the method of `action`')
  const reading = readHttp(audience.operations, message)
  if (reading === undefined) throw new InputError('`action` is no operation of this audience', 'scope.unknown-tool')
  const { operation } = reading
  const identifier = `${audience.name}/${operation.name}`
  if (fields.has('identifier') && readText(fields.need('identifier')) !== identifier)
    throw new InputError('`identifier` names another operation than `action` is')
  return {
    audience,
    operation,
    body: { ...toHttpAction(message), arguments: reading.arguments },
    descriptorHash: hashOf(toDescriptor(operation)),
    ...(fields.has('intent') ? { intent: { text: readText(fields.need('intent')), source: 'argument' } } : {}),
  }
}

function readOnly(field: Field): string {
  const [only, ...others] = readArray(field, 1)
  if (only === undefined || others.length > 0) throw new InputError(`\`${field.path}\` must have one element`)
  return readText(only)
}

function readMessage(field: Field): HttpMessage {
  const fields = readObject(field, ['method', 'target', 'contentType', 'content'])
  const content = fields.has('content') ? fields.need('content').value : ''
  if (typeof content !== 'string' || !content.isWellFormed()) throw new InputError('`action.content` must be a text')
  return {
    method: readText(fields.need('method')),
    target: readText(fields.need('target')),
    ...(fields.has('contentType') ? { contentType: readText(fields.need('contentType')) } : {}),
    body: new TextEncoder().encode(content),
  }
}
