/**
 * @module
 * `POST /token`: token exchange (RFC 8693). In: the session credential of an agent, its proof, and one action (RFC 9396).
 * Out: an action credential, bound to the agent's key, to be shown once with a DPoP proof or a signature.
 */
import { asJson } from '../../core/json.ts'
import { InputError, type AccessRequest, type Caller } from '../../index.ts'
import type { Authenticator, ReceivedRequest } from '../../pdp/authenticate.ts'
import type { Issue } from '../../pdp/issuer.ts'
import { parseActionDetail, type AskedAction, type Audience } from './action-detail.ts'
import { toError, toRefused, toUnauthenticated } from './answers.ts'
import { parseForm, type Form } from './form.ts'
import type { Counted } from './routes.ts'

export const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS = 'urn:ietf:params:oauth:token-type:access_token'
const JWT = 'urn:ietf:params:oauth:token-type:jwt'

export interface ExchangeOptions {
  readonly authenticator: Pick<Authenticator, 'authenticateExchange'>
  readonly audiences: readonly Audience[]
  readonly issue: Issue
  readonly newId: () => string
  /** Where this endpoint is, as clients know it. */
  readonly url: () => string
  readonly counted: Counted
}

/** Answers a request. Throws only for our own faults. */
export async function exchange(options: ExchangeOptions, received: ReceivedRequest): Promise<Response> {
  const form = attempt(() => parseForm(received))
  if ('fault' in form) return toError('invalid_request', form.fault.message)
  const subject = attempt(() => readSubject(form.value))
  if ('fault' in subject) return toError('invalid_request', subject.fault.message)
  if (form.value.get('grant_type') !== EXCHANGE) return toError('unsupported_grant_type', `use \`${EXCHANGE}\``)
  const caller = await options.authenticator.authenticateExchange(received, subject.value, options.url())
  if (!caller.ok) {
    options.counted(caller.reason)
    return toUnauthenticated(caller.reason, received.header('dpop') !== undefined, caller.nonce)
  }
  return decide(options, form.value, caller.value)
}

async function decide(options: ExchangeOptions, form: Form, caller: Caller): Promise<Response> {
  const { actor, task } = caller
  const client = form.get('client_id')
  if (client !== undefined && client !== actor.id && client !== actor.jkt)
    return toError('invalid_client', '`client_id` is not the agent whose key this is')
  if (task === undefined) return toUnauthenticated('identity.unknown-task', false)
  const asked = attempt(() => parseActionDetail(form.need('authorization_details'), options.audiences))
  if ('fault' in asked)
    return toError('invalid_authorization_details', asked.fault.message, { reason: asked.fault.reason })
  if (!isTarget(form, asked.value.audience))
    return toError('invalid_target', 'name the audience of the action in `audience` or `resource`')
  const issued = await options.issue(toAccessRequest(options.newId(), asked.value, caller, task))
  if (issued.kind === 'refused') return toRefused(issued.refusal)
  const { compact, claims } = issued.credential
  return Response.json(
    {
      access_token: compact,
      issued_token_type: ACCESS,
      token_type: 'DPoP',
      expires_in: claims.exp - claims.iat,
      authorization_details: claims.authorization_details.map(asJson),
    },
    { headers: { 'cache-control': 'no-store' } },
  )
}

/** The session credential, and nothing that would be of no effect. Throws `InputError`. */
function readSubject(form: Form): string {
  const compact = form.need('subject_token')
  if (![JWT, ACCESS].includes(form.need('subject_token_type')))
    throw new InputError(`\`subject_token_type\` is \`${JWT}\`: the session credential`)
  if (![JWT, ACCESS].includes(form.get('requested_token_type') ?? ACCESS))
    throw new InputError(`\`requested_token_type\` can only be \`${ACCESS}\``)
  // Who acts is the key that proves the request; another word for it would be believed by somebody.
  for (const name of ['actor_token', 'actor_token_type', 'scope'])
    if (form.get(name) !== undefined) throw new InputError(`\`${name}\` has no meaning here, leave it out`)
  return compact
}

/** At least one of both, and each that is there must be it. */
function isTarget(form: Form, { name, url }: Audience): boolean {
  const [audience, resource] = [form.get('audience'), form.get('resource')]
  if (audience === undefined && resource === undefined) return false
  return (audience === undefined || audience === url || audience === name) && (resource ?? url) === url
}

function toAccessRequest(
  id: string,
  asked: AskedAction,
  caller: Caller,
  task: NonNullable<Caller['task']>,
): AccessRequest {
  const { audience, operation, body, descriptorHash, intent } = asked
  return {
    id,
    plane: 'http',
    subject: task.principal,
    actor: caller.actor,
    action: { name: operation.method, body },
    resource: { type: 'tool', id: `${audience.name}/${operation.name}` },
    context: {
      aud: audience.url,
      upstream: audience.name,
      tool: operation.name,
      descriptorHash,
      txn: task.txn,
      ...(intent === undefined ? {} : { intent }),
      proof: caller.proof,
    },
  }
}

type Attempted<T> = { readonly value: T } | { readonly fault: InputError }

function attempt<T>(run: () => T): Attempted<T> {
  try {
    return { value: run() }
  } catch (fault) {
    if (fault instanceof InputError) return { fault }
    throw fault
  }
}
