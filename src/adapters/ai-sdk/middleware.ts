/**
 * @module
 * Middleware for `wrapLanguageModel`. It keeps what the model said around each tool call as evidence, and refuses to send a
 * request that offers a tool which is not guarded. It is never the gate: `execute` is.
 */
import { REASONS, RefusedError } from '../../index.ts'
import { INTENT_KEY } from '../intent.ts'
import { keepEvidence } from './evidence.ts'
import { isRecord } from './schema.ts'
import type { TaskSource } from './shell.ts'

/** Structurally a `LanguageModelV4Middleware`. */
export interface ModelMiddleware {
  readonly specificationVersion: 'v4'
  transformParams<P>(options: { readonly params: P }): Promise<P>
  wrapGenerate<R extends { readonly content: readonly unknown[] }>(options: {
    readonly doGenerate: () => PromiseLike<R>
  }): Promise<R>
  wrapStream<P, R extends { readonly stream: ReadableStream<P> }>(options: {
    readonly doStream: () => PromiseLike<R & { readonly stream: ReadableStream<P> }>
  }): Promise<R & { readonly stream: ReadableStream<P> }>
}

/**
 * Creates the middleware. Its requests reject with `RefusedError` when they offer, or their answer already holds the result
 * of, a tool that is neither guarded nor named in `admit`. Does not see what a provider runs without saying so.
 */
export function guardModel(task: TaskSource, options: { readonly admit?: readonly string[] } = {}): ModelMiddleware {
  const admit = options.admit ?? []
  return {
    specificationVersion: 'v4',
    async transformParams({ params }) {
      assertGuarded(params, admit)
      return params
    },
    async wrapGenerate({ doGenerate }) {
      const result = await doGenerate()
      const listen = createListener(task, admit)
      // Reasoning may follow the call that it is about.
      for (const part of result.content.filter((each) => !isToolPart(each))) listen(part)
      for (const part of result.content.filter(isToolPart)) listen(part)
      return result
    },
    async wrapStream({ doStream }) {
      const result = await doStream()
      const listen = createListener(task, admit)
      return { ...result, stream: tap(result.stream, listen) }
    },
  }
}

function tap<P>(stream: ReadableStream<P>, listen: (part: unknown) => void): ReadableStream<P> {
  const transform = new TransformStream<P, P>({
    transform(part, controller) {
      // What it throws errors the stream, so that the part is not passed on.
      listen(part)
      controller.enqueue(part)
    },
  })
  return stream.pipeThrough(transform)
}

/** Every tool that is offered has the intent argument, which only the guard puts there, or is named. */
function assertGuarded(params: unknown, admit: readonly string[]): void {
  const tools = isRecord(params) && Array.isArray(params['tools']) ? params['tools'] : []
  for (const tool of tools) {
    const { name, type, inputSchema } = isRecord(tool) ? tool : {}
    const properties = isRecord(inputSchema) ? inputSchema['properties'] : undefined
    const isGuarded = type === 'function' && isRecord(properties) && Object.hasOwn(properties, INTENT_KEY)
    if (!isGuarded && !admit.includes(String(name))) throw toUnguarded(name)
  }
}

function createListener(task: TaskSource, admit: readonly string[]): (part: unknown) => void {
  let reasoning = ''
  let text = ''
  return (part) => {
    if (!isRecord(part)) return
    const { type, toolCallId, toolName, providerExecuted } = part
    const piece = toPiece(part)
    if (type === 'reasoning' || type === 'reasoning-delta') reasoning += piece
    else if (type === 'text' || type === 'text-delta') text += piece
    else if (isToolPart(part) && providerExecuted === true && !admit.includes(String(toolName)))
      throw toUnguarded(toolName)
    if (type === 'tool-call' && typeof toolCallId === 'string') keep(task, toolCallId, reasoning, text)
  }
}

function keep(source: TaskSource, toolCallId: string, reasoning: string, text: string): void {
  const task = typeof source === 'function' ? source() : source
  if (task !== undefined) keepEvidence(task, toolCallId, reasoning, text)
}

function toPiece({ text, delta }: Readonly<Record<string, unknown>>): string {
  return typeof text === 'string' ? text : typeof delta === 'string' ? delta : ''
}

function isToolPart(part: unknown): boolean {
  return isRecord(part) && typeof part['type'] === 'string' && part['type'].startsWith('tool-')
}

function toUnguarded(name: unknown): RefusedError {
  const help = REASONS['scope.unknown-tool'].help
  return new RefusedError(
    'scope.unknown-tool',
    `\`${String(name)}\` is not guarded and not named in \`admit\`: ${help}`,
  )
}
