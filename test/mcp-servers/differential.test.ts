/**
 * The official servers, spoken to directly and through `unbearer mcp`, by the official clients of both generations: whatever is
 * permitted is the same.
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe } from 'vitest'

import { installFramework } from '../adapters/install-framework.ts'
import { createHome } from '../support/wrapped-client.ts'
import { SDKS, type Sdk } from './clients.ts'
import { createPlace, OFFICIAL, playAt, toCommand, type Official } from './official.ts'
import { testSame, type Played } from './same.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const installed = await installFramework(import.meta.dirname)
/** At once: they mostly wait. */
const suites = installed === undefined ? describe.skip : describe.concurrent
const modules = join(installed ?? '', 'node_modules')
const all = OFFICIAL.flatMap((official) => SDKS.map((sdk) => ({ official, sdk, name: official.name })))

suites.each(all)('server-$name, SDK $sdk, wrapped', ({ official, sdk }) => {
  testSame(async () => play(official, sdk))
})

async function play(official: Official, sdk: Sdk): Promise<Played> {
  const place = createPlace()
  const command = toCommand(official, modules, place)
  const home = createHome(command, place.env)
  const env = { ...place.env, HOME: home.dir, XDG_STATE_HOME: join(home.dir, 'state') }
  const wrap = [process.execPath, MAIN, 'mcp', '--name', official.name, '--mode', 'observe', '--', ...command]
  const at = { official, sdk, place }
  try {
    const first = playAt({ ...at, way: { command, env, cwd: home.dir } })
    if (official.isKept) await first
    const second = playAt({ ...at, way: { command: wrap, env, cwd: home.dir }, isGuarded: true })
    const [direct, guarded] = await Promise.all([first, second])
    return { direct, guarded }
  } finally {
    home.remove()
    place.remove()
  }
}
