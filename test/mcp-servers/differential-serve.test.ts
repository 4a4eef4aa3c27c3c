/**
 * The official servers, spoken to directly and through `unbearer serve` by a client that signs: over stdio behind it, and over
 * HTTP where the server has that.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { describe } from 'vitest'

import { installFramework } from '../adapters/install-framework.ts'
import { toFetch } from '../support/agent.ts'
import { createInstallation, type InstallationOptions } from '../support/installation.ts'
import { SERVER } from '../support/tools.ts'
import { SDKS, type Sdk, type Way } from './clients.ts'
import { createPlace, OFFICIAL, playAt, toCommand, type Official, type Place } from './official.ts'
import { testSame, type Played } from './same.ts'

const installed = await installFramework(import.meta.dirname)
/** At once: they mostly wait. */
const suites = installed === undefined ? describe.skip : describe.concurrent
const modules = join(installed ?? '', 'node_modules')
const all = OFFICIAL.flatMap((official) => SDKS.map((sdk) => ({ official, sdk, name: official.name })))

suites.each(all)('server-$name, SDK $sdk, served', ({ official, sdk }) => {
  testSame(async () => {
    const place = createPlace()
    const command = toCommand(official, modules, place)
    const set = ['/usr/bin/env', ...Object.entries(place.env).map(([name, value]) => `${name}=${value}`)]
    try {
      return await play(official, sdk, {
        place,
        way: { command, env: place.env },
        upstream: { command: [...set, ...command] },
      })
    } finally {
      place.remove()
    }
  })
})

suites.each(SDKS)('server-everything over HTTP, SDK %s, served', (sdk) => {
  testSame(
    async () => {
      const [official] = OFFICIAL
      if (official === undefined) throw new Error('no server')
      const place = createPlace()
      const server = await startHttp()
      try {
        const way = { url: new URL(server.url) }
        return await play(official, sdk, { place, way, upstream: { url: server.url } })
      } finally {
        server.child.kill()
        place.remove()
      }
    },
    { isReplayed: true },
  )
})

interface Between {
  readonly place: Place
  readonly way: Way
  readonly upstream: InstallationOptions['upstream']
}

async function play(official: Official, sdk: Sdk, { place, way, upstream }: Between): Promise<Played> {
  const installation = await createInstallation({ upstream, mode: 'observe' })
  try {
    const { txn } = await installation.openTask('try everything')
    const { origin, keys } = installation
    const fetch = toFetch({ origin, key: keys.agent, txn })
    const at = { official, sdk, place }
    const first = playAt({ ...at, way })
    if (official.isKept) await first
    const through = { url: new URL(`/mcp/${SERVER}`, origin), fetch }
    const [direct, guarded] = await Promise.all([first, playAt({ ...at, way: through, isGuarded: true })])
    return { direct, guarded }
  } finally {
    await installation.close()
  }
}

async function startHttp(): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const port = await findPort()
  const file = join(modules, '.bin', 'mcp-server-everything')
  const child = spawn(process.execPath, [file, 'streamableHttp'], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.resume()
  await once(child.stderr, 'data')
  child.stderr.resume()
  return { url: `http://127.0.0.1:${port}/mcp`, child }
}

async function findPort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}
