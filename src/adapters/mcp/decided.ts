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
import { toUpstreamDown } from './connect.ts'
import { takeIntent } from './intent.ts'
import type { McpSession } from './mcp-sessions.ts'
import {
  findProgressId,
  refuse,
  toErrorText,
  toRefusedResultText,
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
  readonly held: McpSession
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
}

/** Answers a decided request on `reply`. Throws only for our own bugs. */
export async function answerDecided(input: DecidedInput): Promise<void> {
  const action = await toAction(input)
  if ('reason' in action) return input.reply.finish(toRefusedText(input.message, action))
  let seen: UpstreamAnswer | undefined
  const perform: Perform = async (context) => {
    seen = withoutOwnWords(await forward(input, context))
    const failed = seen.member === 'error' || seen.value['isError'] === true
    return { output: seen.value, failed }
  }
  const enforced = await input.options.pep.enforce(toAccessRequest(input, action, await findTask(input)), perform)
  if (input.signal.aborted) return input.reply.abandon()
  if (enforced.kind === 'refused') return input.reply.finish(toRefusedText(input.message, enforced.refusal))
  if (seen === undefined) throw new InvariantError('performed without an answer')
  input.reply.finish(toAnswerText(input.message.id, seen, enforced.output))
}

/** A refused call of a tool is a result; of any other method, an error. */
export function toRefusedText(message: DecidedInput['message'], refusal: Refusal): string {
  return message.method === 'tools/call' ? toRefusedResultText(message.id, refusal) : toErrorText(message.id, refusal)
}

/** The text as it was received when nothing in it was rewritten, so that no number is rounded on the way. */
function toAnswerText(id: JsonRpcId, seen: UpstreamAnswer, output: Json): string {
  const isSame = output === seen.value || JSON.stringify(output) === JSON.stringify(seen.value)
  const text = isSame ? cutMember(seen.text, seen.member) : JSON.stringify(output)
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"${seen.member}":${text}}`
}

async function toAction({ held, message, options }: DecidedInput): Promise<Action | Refusal> {
  const { method, params } = message
  if (method !== 'tools/call') return toMethodAction(method, params)
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
  return {
    tool: name,
    body: { method, name, arguments: rest },
    ...(listed?.hash === undefined ? {} : { descriptorHash: listed.hash }),
    ...(intent === undefined ? {} : { intent }),
  }
}

/** Methods without a schema carry the intent in `_meta`. */
function toMethodAction(method: string, params: JsonObject): Action {
  const { _meta, ...rest } = params
  const { intent } = takeIntent(isJsonObject(_meta) ? _meta : {})
  return {
    tool: method,
    body: { method, arguments: rest },
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

/** The params that an action is forwarded as. Of `_meta` only the progress marker survives: the rest was not decided. */
function toParams(body: ActionBody, original: JsonObject): JsonObject {
  const { method, name, arguments: given } = body
  if (!isJsonObject(given)) throw new InvariantError('an action of MCP without arguments')
  const progressId = findProgressId(original)
  const meta = progressId === undefined ? {} : { _meta: { progressToken: progressId } }
  return method === 'tools/call' ? { name, arguments: given, ...meta } : { ...given, ...meta }
}

/** The action that a receiver of these params would see. */
function toBody(method: string, params: JsonObject): ActionBody {
  const { _meta, ...rest } = params
  return method === 'tools/call'
    ? { method, name: rest['name'], arguments: rest['arguments'] }
    : { method, arguments: rest }
}

async function forward(input: DecidedInput, context: PerformContext): Promise<UpstreamAnswer> {
  const { held, message, signal } = input
  const { method } = message
  if (context.body['method'] !== method) throw new InvariantError('the decided action has another method')
  const params = toParams(context.body, message.params)
  // What cannot reach the server is not begun: its outcome is known, and an approval of it is not spent.
  if (!held.connection.isReady()) throw toUpstreamDown()
  // Redeeming is the last thing before the action; one that nobody waits for any more is not begun.
  if (signal.aborted || context.signal.aborted) throw toAborted()
  const { uri } = params
  const subscribed = method === 'resources/subscribe' && typeof uri === 'string' ? uri : undefined
  if (subscribed !== undefined && isFull(held.subscriptions, subscribed))
    throw new RefusedError('system.quota', REASONS['system.quota'].help)
  const redemption = await context.redeem(toBody(method, params))
  if (!redemption.ok) throw new RefusedError(redemption.reason, REASONS[redemption.reason].help)
  const call = async (): Promise<UpstreamAnswer> =>
    held.connection.call(
      { method, params },
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
