/**
 * @module
 * The five setups side by side: what each is, its processes, and who calls it.
 */
import { join } from 'node:path'

import type { JWK } from 'jose'

import { generateKey } from '../src/crypto/keys.ts'
import { mintBearer } from './bearer.ts'
import { createPlainCaller, createSigningCaller, type BenchCaller } from './callers.ts'
import { createInstallation } from './installation.ts'
import { startServer, type ServerProcess } from './processes.ts'

export const SETUPS = ['none', 'bearer-eddsa', 'unbearer', 'bearer-eddsa-gateway', 'unbearer-gateway'] as const
export type SetupName = (typeof SETUPS)[number]
/** How a request of a setup is proved. */
export const PROOFS: Readonly<Record<SetupName, 'none' | 'bearer' | 'signature'>> = {
  none: 'none',
  'bearer-eddsa': 'bearer',
  unbearer: 'signature',
  'bearer-eddsa-gateway': 'bearer',
  'unbearer-gateway': 'signature',
}

/** The setup with a bearer token on the same road: what a setup is compared with. */
export const COUNTERPARTS: Readonly<Record<SetupName, SetupName>> = {
  none: 'bearer-eddsa',
  'bearer-eddsa': 'bearer-eddsa',
  unbearer: 'bearer-eddsa',
  'bearer-eddsa-gateway': 'bearer-eddsa-gateway',
  'unbearer-gateway': 'bearer-eddsa-gateway',
}

export interface Setup {
  readonly name: SetupName
  /** Where requests go. */
  readonly port: number
  /** Every process that works on a request; the one with the tool is the last. */
  readonly servers: readonly ServerProcess[]
  /** One for each connection. */
  readonly callers: readonly BenchCaller[]
}

export interface Started {
  readonly setups: readonly Setup[]
  close(): Promise<void>
}

interface Making {
  readonly dir: string
  readonly connections: number
  readonly key: JWK & Readonly<Record<string, string>>
  readonly processes: ServerProcess[]
  start(start: Parameters<typeof startServer>[0]): Promise<ServerProcess>
}

/** Starts what is asked for. `dir` holds the stores; every setup has `connections` callers. */
export async function startSetups(names: readonly SetupName[], dir: string, connections: number): Promise<Started> {
  const processes: ServerProcess[] = []
  const close = async (): Promise<void> => {
    await Promise.all(processes.map(async (server) => server.close()))
  }
  const start: Making['start'] = async (given) => {
    const server = await startServer(given)
    processes.push(server)
    return server
  }
  try {
    const making: Making = { dir, connections, key: { ...generateKey('Ed25519') }, processes, start }
    const toolService = await start({ kind: 'none' })
    const setups: Setup[] = []
    for (const name of names) setups.push(await MAKERS[name](making, toolService))
    return { setups, close }
  } catch (cause) {
    await close()
    throw cause
  }
}

type Maker = (making: Making, toolService: ServerProcess) => Promise<Setup>

const MAKERS: Readonly<Record<SetupName, Maker>> = {
  none: async ({ connections }, toolService) => ({
    name: 'none',
    port: toolService.port,
    servers: [toolService],
    callers: Array.from({ length: connections }, () => createPlainCaller(toolService.port)),
  }),
  'bearer-eddsa': async (making) => {
    const server = await making.start({ kind: 'bearer-eddsa', publicKey: toPublic(making.key) })
    return { name: 'bearer-eddsa', port: server.port, servers: [server], callers: await toBearers(making, server.port) }
  },
  'bearer-eddsa-gateway': async (making, toolService) => {
    const upstream = toUrl(toolService)
    const server = await making.start({ kind: 'bearer-eddsa-gateway', publicKey: toPublic(making.key), upstream })
    const callers = await toBearers(making, server.port)
    return { name: 'bearer-eddsa-gateway', port: server.port, servers: [server, toolService], callers }
  },
  unbearer: async (making) => {
    const { config, agents } = await createInstallation(join(making.dir, 'in-process'), making.connections)
    const server = await making.start({ kind: 'unbearer', config })
    const callers = await Promise.all(agents.map(async (agent) => createSigningCaller(server.port, agent, false)))
    return { name: 'unbearer', port: server.port, servers: [server], callers }
  },
  'unbearer-gateway': async (making, toolService) => {
    const dir = join(making.dir, 'gateway')
    const { config, agents } = await createInstallation(dir, making.connections, toUrl(toolService))
    const server = await making.start({ kind: 'unbearer-gateway', config })
    const callers = await Promise.all(agents.map(async (agent) => createSigningCaller(server.port, agent, true)))
    return { name: 'unbearer-gateway', port: server.port, servers: [server, toolService], callers }
  },
}

function toUrl({ port }: ServerProcess): string {
  return `http://127.0.0.1:${port}/mcp`
}

function toPublic({ d: _d, ...rest }: Making['key']): Readonly<Record<string, string>> {
  return rest
}

async function toBearers({ key, connections }: Making, port: number): Promise<readonly BenchCaller[]> {
  const compacts = await Promise.all(
    Array.from({ length: connections }, async (_, index) => mintBearer(key, `agent-${index}`)),
  )
  return compacts.map((compact) => createPlainCaller(port, { authorization: `Bearer ${compact}` }))
}
