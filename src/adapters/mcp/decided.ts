/**
 * @module
 * A request that acts: made into an AccessRequest, enforced, and forwarded as our own serialisation of what was decided.
 * What the upstream sent back goes on in its own text, unless it was rewritten.
 */
import {
  InvariantError,
  isJsonObject,
  RefusedError,
  REASONS,
  type AccessRequest,
  type ActionBody,
  type Caller,
  type IntentClaim,
  type Json,
  type JsonObject,
  type Perform,
  type PerformContext,
  type Refusal,
  type Task,
  UnbearerError,
} from '../../index.ts'
import { toMethodHash, type ListedTool } from './catalogue.ts'
import { ANSWERS, isQuestion, takeRetry, toAbout, toQuestions, toRetryParams } from './asked.ts'
import { toUpstreamDown } from './connect.ts'
import { toEnvelope } from './envelope.ts'
import { agreesWithParams, toParamHeaders } from './mcp-headers.ts'
import type { RequestStates } from './request-state.ts'
import { takeIntent } from './intent.ts'
import type { McpSession } from './mcp-sessions.ts'
import {
  findProgressId,
  refuse,
  toErrorText,
  toRefusedResultText,
  toResultText,
  type ClientMessage,
  type JsonRpcId,
} from './message.ts'
import { cutMember } from './raw-member.ts'
import { withoutOwnWords } from './own-words.ts'
import type { Reply } from './reply.ts'
import type { GatewayOptions } from './types.ts'
import { toAborted, type ServerNotification, type UpstreamAnswer } from './upstream.ts'

export interface DecidedInput {
  readonly options: GatewayOptions
  readonly states: RequestStates
  readonly held: McpSession
  /** Those of the request; in the later era they repeat arguments. */
  readonly headers: Headers
  readonly caller: Caller
  readonly message: ClientMessage & { readonly id: JsonRpcId }
  readonly reply: Reply
  /** Aborted when the client goes away or cancels. */
  readonly signal: AbortSignal
}

interface Action {
  /** The tool, or the method where the action is not a tool. */
  readonly tool: string
  readonly body: ActionBody
  readonly descriptorHash?: string
  readonly intent?: IntentClaim
  /** What a question of the server to this call is bound to. */
  readonly about: string
  /** What the server gave with its question. */
  readonly state?: string
  /** The question that this call answers. */
  readonly sealed?: string
  /** Headers that repeat arguments. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Answers a decided request on `reply`. Throws only for our own bugs. */
export async function answerDecided(input: DecidedInput): Promise<void> {
  const action = await toAction(input)
  if ('reason' in action) return input.reply.finish(toRefusedText(input.message, action))
  let seen: UpstreamAnswer | undefined
  const perform: Perform = async (context) => {
    seen = withoutOwnWords(await forward(input, action, context))
    const failed = seen.member === 'error' || seen.value['isError'] === true
    return { output: seen.value, failed }
  }
  const enforced = await input.options.pep.enforce(toAccessRequest(input, action, await findTask(input)), perform)
  if (input.signal.aborted) return input.reply.abandon()
  if (enforced.kind === 'refused') return input.reply.finish(toRefusedText(input.message, enforced.refusal))
  if (seen === undefined) throw new InvariantError('performed without an answer')
  const { output } = enforced
  const isAsked = input.message.era === 'stateless' && seen.member === 'result' && isQuestion(output)
  input.reply.finish(isAsked ? toAskedText(input, action, output) : toAnswerText(input.message.id, seen, output))
}

function toAskedText({ options, states, held, message }: DecidedInput, { about }: Action, output: JsonObject): string {
  const asked = toQuestions(output, message.params, states, about)
  if (asked.ok) return toResultText(message.id, asked.result)
  options.onProblem?.({ upstream: held.upstream.name, reason: 'policy.denied', message: asked.why })
  return toRefusedText(message, { ...refuse('policy.denied'), help: asked.why })
}

const redeemOnly: Perform = async (context) => {
  const redemption = await context.redeem(context.body)
  if (!redemption.ok) throw new RefusedError(redemption.reason, REASONS[redemption.reason].help)
  return { output: {}, failed: false }
}

/** Decides an action of which nothing is sent by itself; undefined where it is permitted. */
export async function enforceMethod(
  input: DecidedInput,
  method: string,
  params: JsonObject,
): Promise<Refusal | undefined> {
  const action = toMethodAction(input.held, method, { ...params, _meta: input.message.params['_meta'] ?? {} })
  const request = toAccessRequest(input, action, await findTask(input))
  const enforced = await input.options.pep.enforce(
    { ...request, action: { ...request.action, name: method } },
    redeemOnly,
  )
  return enforced.kind === 'refused' ? enforced.refusal : undefined
}

/** A refused call of a tool is a result; of any other method, an error. */
export function toRefusedText(message: DecidedInput['message'], refusal: Refusal): string {
  return message.method === 'tools/call' ? toRefusedResultText(message, refusal) : toErrorText(message.id, refusal)
}

/** The text as it was received when nothing in it was rewritten, so that no number is rounded on the way. */
function toAnswerText(id: JsonRpcId, seen: UpstreamAnswer, output: Json): string {
  const isSame = output === seen.value || JSON.stringify(output) === JSON.stringify(seen.value)
  const text = isSame ? cutMember(seen.text, seen.member) : JSON.stringify(output)
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"${seen.member}":${text}}`
}

/** With the answers to a question of the server where the client brings them: they are decided like everything else. */
async function toAction(input: DecidedInput): Promise<Action | Refusal> {
  const action = await toPlainAction(input)
  if ('reason' in action || input.message.era === 'sessions') return action
  const retried = takeRetry(input.message.params, input.states, action.about)
  if (retried === 'malformed') return refuse('system.malformed')
  if (retried === undefined) return action
  const { body } = action
  const given = isJsonObject(body['arguments']) ? body['arguments'] : {}
  return {
    ...action,
    body: { ...body, arguments: { ...given, [ANSWERS]: retried.answers } },
    sealed: retried.sealed,
    ...(retried.state === undefined ? {} : { state: retried.state }),
  }
}

async function toPlainAction({ held, headers, message, options }: DecidedInput): Promise<Action | Refusal> {
  const { method, params } = message
  if (method !== 'tools/call') return toMethodAction(held, method, params)
  const { name, arguments: given = {} } = params
  if (typeof name !== 'string' || !isJsonObject(given)) return refuse('system.malformed')
  let listed: ListedTool | undefined
  try {
    listed = (await held.catalogue.current()).tools.get(name)
  } catch (fault) {
    const why = fault instanceof UnbearerError ? `: ${fault.message}` : ''
    options.onProblem?.({
      upstream: held.upstream.name,
      reason: 'system.upstream',
      message: `the tools could not be listed${why}`,
    })
    return refuse('system.upstream')
  }
  if (listed !== undefined && !listed.usable) return refuse('scope.unknown-tool')
  const { rest, intent } = takeIntent(given)
  const schema = listed?.descriptor['inputSchema']
  if (Object.hasOwn(rest, ANSWERS) || !agreesWithParams(headers, schema, rest)) return refuse('system.malformed')
  const body = { method, name, arguments: rest }
  return {
    tool: name,
    body,
    about: toAbout(held.binding, body),
    ...(message.era === 'stateless' ? { headers: toParamHeaders(schema, rest) } : {}),
    ...(listed?.hash === undefined ? {} : { descriptorHash: listed.hash }),
    ...(intent === undefined ? {} : { intent }),
  }
}

/** Methods without a schema carry the intent in `_meta`. */
function toMethodAction({ binding }: McpSession, method: string, params: JsonObject): Action {
  const { _meta, inputResponses: _answers, requestState: _state, ...rest } = params
  const { intent } = takeIntent(isJsonObject(_meta) ? _meta : {})
  const body = { method, arguments: rest }
  return {
    tool: method,
    body,
    about: toAbout(binding, body),
    descriptorHash: toMethodHash(method),
    ...(intent === undefined ? {} : { intent }),
  }
}

/** Milliseconds before its end from when on nothing is begun in a task. */
const ENDING = 60_000

/**
 * The task to act in. A connection's own is followed by another one, as if the client had connected again: both are without a
 * purpose, so that nothing is trusted more in the second than in the first.
 */
async function findTask({ options, held, caller }: DecidedInput): Promise<Task> {
  if (caller.task !== undefined) return caller.task
  if (held.task.expires - options.clock.now() < ENDING) {
    try {
      held.task = await options.pep.openConnectionTask(caller)
    } catch {
      // The one that ends is refused for what it is.
    }
  }
  return held.task
}

function toAccessRequest({ options, held, caller, message }: DecidedInput, action: Action, task: Task): AccessRequest {
  const { name: upstream } = held.upstream
  return {
    id: options.pep.newId(),
    plane: 'mcp',
    subject: task.principal,
    actor: caller.actor,
    action: { name: message.method, body: action.body },
    resource: { type: 'tool', id: `${upstream}/${action.tool}` },
    context: {
      aud: toAudience(upstream),
      upstream,
      tool: action.tool,
      ...(action.descriptorHash === undefined ? {} : { descriptorHash: action.descriptorHash }),
      txn: task.txn,
      ...(action.intent === undefined ? {} : { intent: action.intent }),
      proof: caller.proof,
    },
  }
}

/** The audience of the credentials that this gateway redeems for an upstream. */
function toAudience(upstream: string): string {
  return `urn:unbearer:upstream:${encodeURIComponent(upstream)}`
}

/**
 * The params that an action is forwarded as. Of `_meta` only the progress marker and the envelope of the later era survive: the rest
 * was not decided.
 */
function toParams({ message: { params, era } }: DecidedInput, { state }: Action, body: ActionBody): JsonObject {
  const { method, name, arguments: given } = body
  if (!isJsonObject(given)) throw new InvariantError('an action of MCP without arguments')
  const progressId = findProgressId(params)
  const meta = {
    ...(era === 'stateless' ? toEnvelope(params) : {}),
    ...(progressId === undefined ? {} : { progressToken: progressId }),
  }
  const [own, retry] = toRetryParams(given, state)
  const more = { ...retry, ...(Object.keys(meta).length === 0 ? {} : { _meta: meta }) }
  return method === 'tools/call' ? { name, arguments: own, ...more } : { ...own, ...more }
}

/** The action that a receiver of these params would see. */
function toBody(method: string, params: JsonObject): ActionBody {
  const { _meta, requestState: _state, inputResponses: answers, ...rest } = params
  const more = answers === undefined ? {} : { [ANSWERS]: answers }
  if (method !== 'tools/call') return { method, arguments: { ...rest, ...more } }
  const { name, arguments: given } = rest
  return { method, name, arguments: isJsonObject(given) ? { ...given, ...more } : given }
}

async function forward(input: DecidedInput, action: Action, context: PerformContext): Promise<UpstreamAnswer> {
  const { held, message, signal } = input
  const { method } = message
  if (context.body['method'] !== method) throw new InvariantError('the decided action has another method')
  const params = toParams(input, action, context.body)
  // What cannot reach the server is not begun: its outcome is known, and an approval of it is not spent.
  if (!held.connection.isReady()) throw toUpstreamDown()
  // Redeeming is the last thing before the action; one that nobody waits for any more is not begun.
  if (signal.aborted || context.signal.aborted) throw toAborted()
  const { uri } = params
  const subscribed = method === 'resources/subscribe' && typeof uri === 'string' ? uri : undefined
  if (subscribed !== undefined && isFull(held.subscriptions, subscribed))
    throw new RefusedError('system.quota', REASONS['system.quota'].help)
  if (action.sealed !== undefined && !input.states.spend(action.sealed))
    throw new RefusedError('system.malformed', REASONS['system.malformed'].help)
  const redemption = await context.redeem(toBody(method, params))
  if (!redemption.ok) throw new RefusedError(redemption.reason, REASONS[redemption.reason].help)
  const call = async (): Promise<UpstreamAnswer> =>
    held.connection.call(
      { method, params, ...(action.headers === undefined ? {} : { headers: action.headers }) },
      {
        signal: AbortSignal.any([signal, context.signal]),
        onNotification: (notification) => relay(input, context, notification),
      },
    )
  return subscribed === undefined ? call() : subscribe(held.subscriptions, subscribed, call)
}

/** So many resources one session may be told of. */
const MOST_SUBSCRIPTIONS = 1024

function isFull(subscriptions: ReadonlySet<string>, uri: string): boolean {
  return subscriptions.size >= MOST_SUBSCRIPTIONS && !subscriptions.has(uri)
}

/** Known before the server is asked, which may tell of a change in the same breath as it answers. */
async function subscribe(
  subscriptions: Set<string>,
  uri: string,
  call: () => Promise<UpstreamAnswer>,
): Promise<UpstreamAnswer> {
  const isNew = !subscriptions.has(uri)
  subscriptions.add(uri)
  let isDone = false
  try {
    const answer = await call()
    isDone = answer.member === 'result'
    return answer
  } finally {
    if (isNew && !isDone) subscriptions.delete(uri)
  }
}

/** Relayed with the marker that the agent chose; upstream there was one of ours. */
async function relay(
  { reply, message }: DecidedInput,
  context: PerformContext,
  { method, params }: ServerNotification,
): Promise<void> {
  const marker = findProgressId(message.params)
  const isProgress = method === 'notifications/progress'
  // A server can guess our marker; an agent that asked for no progress gets none.
  if (isProgress && marker === undefined) return
  const shown = isProgress && marker !== undefined ? { ...params, progressToken: marker } : params
  await context.observe(shown)
  if (!context.signal.aborted) reply.notify(JSON.stringify({ jsonrpc: '2.0', method, params: shown }))
}
