/**
 * The official servers, spoken to directly and through `unbearer mcp`, by the official clients of both generations: whatever is
 * permitted is the same, message for message, but for what is named here.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { beforeAll, describe, expect, it } from 'vitest'

import { isJsonObject, type Json } from '../../src/index.ts'
import { installFramework } from '../adapters/install-framework.ts'
import { createHome } from '../support/wrapped-client.ts'
import { openClient, type Sdk, type Way } from './clients.ts'
import { createPlace, OFFICIAL, type Official } from './official.ts'
import { record, withoutClocks, type Transcript } from './transcript.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const installed = await installFramework(import.meta.dirname)
const modules = join(installed ?? '', 'node_modules')
const SDKS: readonly Sdk[] = ['v1', 'v2']

interface Played {
  readonly direct: Transcript
  readonly wrapped: Transcript
}

const all = OFFICIAL.flatMap((official) => SDKS.map((sdk) => ({ official, sdk, name: official.name })))

describe.skipIf(installed === undefined).each(all)('server-$name, SDK $sdk', ({ official, sdk }) => {
  let played: Played

  beforeAll(async () => {
    played = await play(official, sdk)
  })

  it('says the same of itself, but for the methods that are not served', () => {
    const { direct, wrapped } = played
    expect(wrapped['initialize']).toEqual(withoutTasks(direct['initialize'] ?? null))
  })

  it('lists the same, but for the intent', () => {
    const { direct, wrapped } = played
    expect(withoutIntent(wrapped['tools/list'] ?? null)).toEqual(withoutIntent(direct['tools/list'] ?? null))
  })

  it('answers the same', () => {
    const { direct, wrapped } = played
    expect(toSteps(wrapped)).toEqual(toSteps(direct))
  })

  it('says the same by itself, but for the log outside of what is decided', () => {
    const { direct, wrapped } = played
    expect(wrapped['came by itself']).toEqual(withoutUndecidedLog(direct['came by itself'] ?? null))
  })
})

async function play({ name, isKept, arguments: toArguments, script }: Official, sdk: Sdk): Promise<Played> {
  const place = createPlace()
  const command = [process.execPath, join(modules, '.bin', `mcp-server-${name}`), ...toArguments(place.dir)]
  const home = createHome(command, place.env)
  const playOne = async (way: Way, isGuarded: boolean): Promise<Transcript> => {
    place.reset()
    const open = await openClient(sdk, modules, way)
    try {
      return await record(open, script(place.dir), { isGuarded })
    } finally {
      await open.close()
    }
  }
  const env = { ...place.env, HOME: home.dir, XDG_STATE_HOME: join(home.dir, 'state') }
  const wrap = [process.execPath, MAIN, 'mcp', '--name', name, '--mode', 'observe', '--', ...command]
  try {
    const first = playOne({ command, env, cwd: home.dir }, false)
    if (isKept) await first
    const [direct, wrapped] = await Promise.all([first, playOne({ command: wrap, env, cwd: home.dir }, true)])
    return { direct, wrapped }
  } finally {
    home.remove()
    place.remove()
  }
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
