/**
 * @module
 * What a client sees of a server, written down: every list, every step of a script, and every message that came unasked. Two
 * transcripts of one script are compared, one of them through the gateway.
 */
import { setTimeout as wait } from 'node:timers/promises'

import { isJsonObject, type Json, type JsonObject } from '../../src/index.ts'
import { toPlain, type AnyClient, type OpenClient } from './clients.ts'

/** One request of a client. */
export type Step =
  | { readonly tool: string; readonly args: JsonObject; readonly intent?: string; readonly follow?: boolean }
  | { readonly tool: string; readonly args: JsonObject; readonly intent?: string; readonly cancelAfter: number }
  | { readonly read: string }
  | { readonly prompt: JsonObject }
  | { readonly complete: JsonObject }
  | { readonly subscribe: string }
  | { readonly unsubscribe: string }
  | { readonly level: string }
  /** Milliseconds in which something comes by itself. */
  | { readonly wait: number }

/** What the gateway asks for beside what the server does; nothing where a client speaks to the server itself. */
export interface Added {
  readonly isGuarded: boolean
}

export type Transcript = Record<string, Json>

/** Milliseconds in which the last message that nobody asked for arrives. */
const SETTLE = 150
const INTENT = 'read: the user asked to see what this shows'

/** Plays a script and writes down what came back, by step. Faults of a step are part of what is written. */
export async function record(open: OpenClient, script: readonly Step[], added: Added): Promise<Transcript> {
  const { client } = open
  const steps: Transcript = {}
  const step = async (name: string, act: () => Promise<unknown>): Promise<void> => {
    const key = steps[name] === undefined ? name : `${name} again`
    steps[key] = await act().then(toPlain, toFault)
  }
  const about = toPlain({
    capabilities: client.getServerCapabilities(),
    server: client.getServerVersion(),
    instructions: client.getInstructions(),
  })
  steps['initialize'] = about
  await step('ping', async () => client.ping())
  await lists(client, isJsonObject(about) ? about : {}, step)
  for (const each of script) await play(open, each, added, step)
  await wait(SETTLE)
  steps['came by itself'] = toCame(open.received)
  return steps
}

type Play = (name: string, act: () => Promise<unknown>) => Promise<void>

async function lists(client: AnyClient, { capabilities }: JsonObject, step: Play): Promise<void> {
  const has = isJsonObject(capabilities) ? capabilities : {}
  await step('tools/list', async () => client.listTools())
  if (has['resources'] !== undefined) {
    await step('resources/list', async () => client.listResources())
    await step('resources/templates/list', async () => client.listResourceTemplates())
  }
  if (has['prompts'] !== undefined) await step('prompts/list', async () => client.listPrompts())
}

async function play(open: OpenClient, each: Step, { isGuarded }: Added, step: Play): Promise<void> {
  const { client } = open
  const name = JSON.stringify(each)
  const meta = isGuarded ? { _meta: { unbearer_intent: INTENT } } : {}
  if ('wait' in each) await wait(each.wait)
  else if ('tool' in each) await call(open, each, isGuarded, step)
  else if ('read' in each) await step(name, async () => client.readResource({ uri: each.read, ...meta }))
  else if ('prompt' in each) await step(name, async () => client.getPrompt({ ...each.prompt, ...meta }))
  else if ('complete' in each) await step(name, async () => client.complete({ ...each.complete, ...meta }))
  else if ('subscribe' in each) await step(name, async () => client.subscribeResource({ uri: each.subscribe, ...meta }))
  else if ('unsubscribe' in each)
    await step(name, async () => client.unsubscribeResource({ uri: each.unsubscribe, ...meta }))
  else await step(name, async () => client.setLoggingLevel(each.level))
}

async function call(
  open: OpenClient,
  each: Extract<Step, { readonly tool: string }>,
  isGuarded: boolean,
  step: Play,
): Promise<void> {
  const { tool, args, intent = INTENT } = each
  const name = JSON.stringify(each)
  const given = isGuarded ? { unbearer_intent: intent, ...args } : args
  if ('cancelAfter' in each) {
    const signal = AbortSignal.timeout(each.cancelAfter)
    await step(name, async () => open.call(tool, given, { signal }).catch(() => ({ isCancelled: signal.aborted })))
    return
  }
  // Progress is asked for and read from what was received: the SDK forgets the last of it when the answer comes with it.
  const options = each.follow === true ? { onprogress: () => undefined } : {}
  await step(name, async () => open.call(tool, given, options))
}

function toFault(fault: unknown): Json {
  if (!(fault instanceof Error)) return { fault: String(fault) }
  const data = 'data' in fault ? toPlain(fault.data) : null
  return { fault: fault.message, code: 'code' in fault ? toPlain(fault.code) : null, data }
}

/** By method, in their order: between two methods nobody promises one. */
function toCame(received: readonly JsonObject[]): JsonObject {
  const came: Record<string, Json[]> = {}
  for (const { method, params } of received)
    if (typeof method === 'string') (came[method] ??= []).push(withoutMarker(params ?? null))
  return came
}

/** The marker is the client's own number, another with each client. */
function withoutMarker(params: Json): Json {
  if (!isJsonObject(params)) return params
  const { progressToken: _marker, ...rest } = params
  return rest
}

/** Without what is another each time: clocks and random ids, also inside of what is encoded. */
export function withoutClocks(value: Json): Json {
  if (typeof value === 'string') return mask(value)
  if (Array.isArray(value)) return value.map(withoutClocks)
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      key === 'blob' && typeof each === 'string'
        ? mask(Buffer.from(each, 'base64').toString('latin1'))
        : withoutClocks(each ?? null),
    ]),
  )
}

function mask(text: string): string {
  return text
    .replaceAll(/\d{1,2}:\d\d:\d\d [AP]M/gu, 'TIME')
    .replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/gu, 'ID')
    .replaceAll(/^(created|modified|accessed): .*$/gmu, '$1: TIME')
}
