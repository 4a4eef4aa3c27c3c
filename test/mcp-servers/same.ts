/**
 * @module
 * The tests that hold of what a client saw directly and through the gateway: the same, message for message, but for what is named
 * here.
 */
import { beforeAll, expect, it } from 'vitest'

import { isJsonObject, type Json } from '../../src/index.ts'
import { withoutClocks, type Transcript } from './transcript.ts'

export interface Played {
  readonly direct: Transcript
  readonly guarded: Transcript
}

/**
 * Declares them, within a `describe`. `isReplayed`: the server says some of what it says by itself more than once, and its log on
 * the stream that belongs to no call.
 */
export function testSame(
  play: () => Promise<Played>,
  { isReplayed = false }: { readonly isReplayed?: boolean } = {},
): void {
  let played: Played

  beforeAll(async () => {
    played = await play()
  })

  it('says the same of itself, but for the methods that are not served', () => {
    const { direct, guarded } = played
    expect(guarded['initialize']).toEqual(withoutTasks(direct['initialize'] ?? null))
  })

  it('lists the same, but for the intent', () => {
    const { direct, guarded } = played
    expect(withoutIntent(guarded['tools/list'] ?? null)).toEqual(withoutIntent(direct['tools/list'] ?? null))
  })

  it('answers the same', () => {
    const { direct, guarded } = played
    expect(toSteps(guarded)).toEqual(toSteps(direct))
  })

  it('says the same by itself, but for the log outside of what is decided', () => {
    const { direct, guarded } = played
    const [seen, wanted] = [guarded['came by itself'] ?? null, withoutUndecidedLog(direct['came by itself'] ?? null)]
    const toShown = isReplayed ? onceWithoutLog : (came: Json): Json => came
    expect(toShown(seen)).toEqual(toShown(wanted))
  })
}

function toSteps(transcript: Transcript): Json {
  const { initialize: _initialize, 'tools/list': _tools, 'came by itself': _came, ...steps } = transcript
  return withoutClocks(steps)
}

/** Tasks are announced by servers whose tasks the gateway does not relay. */
function withoutTasks(about: Json): Json {
  if (!isJsonObject(about) || !isJsonObject(about['capabilities'])) return about
  const { tasks: _tasks, ...capabilities } = about['capabilities']
  return { ...about, capabilities }
}

/** Nothing labels what a server logs while no action is under way. */
function withoutUndecidedLog(came: Json): Json {
  if (!isJsonObject(came)) return came
  const logged: Json = came['notifications/message'] ?? []
  if (!Array.isArray(logged) || logged.length === 0) return came
  return { ...came, 'notifications/message': logged.filter((each) => !JSON.stringify(each).includes('Unsubscribe')) }
}

function onceWithoutLog(came: Json): Json {
  if (!isJsonObject(came)) return came
  const { 'notifications/message': _log, ...rest } = came
  const once = Object.entries(rest).map(([method, each]): [string, Json] => [
    method,
    Array.isArray(each) ? [...new Set(each.map((one: Json) => JSON.stringify(one)))] : (each ?? null),
  ])
  return Object.fromEntries(once)
}

/** Without the argument that the gateway puts into each schema, and without what it makes explicit for it. */
function withoutIntent(list: Json): Json {
  if (!isJsonObject(list) || !Array.isArray(list['tools'])) return list
  return { ...list, tools: list['tools'].map((tool: Json) => withoutArgument(tool)) }
}

function withoutArgument(tool: Json): Json {
  const schema = isJsonObject(tool) ? tool['inputSchema'] : undefined
  if (!isJsonObject(tool) || !isJsonObject(schema)) return tool
  const { unbearer_intent: _intent, ...properties } = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const names: readonly Json[] = Array.isArray(schema['required']) ? schema['required'] : []
  const required = names.filter((each) => each !== 'unbearer_intent')
  return { ...tool, inputSchema: { ...schema, properties, required } }
}
