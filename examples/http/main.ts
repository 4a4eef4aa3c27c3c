/**
 * One API in four frameworks, an agent, and a thief who sees everything that the agent sends. `npm start`, or
 * `npm -s start -- --json`, or `npm start -- express` for one of them; `start.sh` has what comes before.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { createInterface } from 'node:readline'

import { createActionFetch, openTask } from 'unbearer/client'
import type { CredentialGuard } from 'unbearer/http'

import { createGuard } from './guard.ts'
import { handled } from './orders.ts'

type Api = { createApi(guard: CredentialGuard): Server | Promise<Server> }

const APIS: Readonly<Record<string, () => Promise<Api>>> = {
  hono: async () => import('./api-hono.ts'),
  express: async () => import('./api-express.ts'),
  fastify: async () => import('./api-fastify.ts'),
  node: async () => import('./api-node.ts'),
}

const asked = process.argv.slice(2).filter((word) => word in APIS)
const isJson = process.argv.includes('--json')

function tell(text: string): void {
  if (!isJson) console.log(text)
}

/** `unbearer serve`, and where it listens. */
async function serve() {
  const server = spawn('unbearer', ['serve', '--config', 'gate/unbearer.yaml', '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const [line] = await once(createInterface(server.stdout), 'line')
  const { origin } = JSON.parse(String(line)) as { origin: string }
  return { origin, stop: () => server.kill() }
}

async function findPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** What the API answered, or why the issuer gave no credential for it. */
async function outcome(sent: Promise<Response>): Promise<number | string> {
  try {
    const response = await sent
    if (response.ok) return response.status
    return ((await response.json()) as { reason: string }).reason
  } catch (fault) {
    return fault instanceof Error && 'reason' in fault ? String(fault.reason) : String(fault)
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

async function play(name: string): Promise<object> {
  handled.length = 0
  const port = await findPort()
  const guard = createGuard(issuer.origin, port)
  const { createApi } = (await APIS[name]?.()) ?? (await import('./api-node.ts'))
  const api = (await createApi(guard)).listen(port, '127.0.0.1')
  const orders = `http://127.0.0.1:${port}/orders`
  // The host application opens a task for what the principal asked.
  const { txn } = await openTask({
    url: issuer.origin,
    key: './gate/keys/host.jwk',
    purpose: 'look at order 7, and note on it that it is urgent',
    principal: 'alice',
    actor: 'support-agent',
  })

  // The thief records what the agent sends, before it arrives, and tries it on order 8.
  const stolen: RequestInit[] = []
  const early: (number | string)[] = []
  const watched: typeof fetch = async (input, init = {}) => {
    if (String(input).startsWith(orders)) {
      stolen.push(init)
      early.push(await outcome(fetch(String(input).replace('/7', '/8'), init)))
    }
    return fetch(input, init)
  }
  const agent = createActionFetch({
    url: issuer.origin,
    key: './gate/keys/agent.jwk',
    txn,
    audience: 'https://orders.example',
    fetch: watched,
  })

  const note = (text: string) => ({ method: 'POST', headers: JSON_TYPE, body: JSON.stringify({ text }) })
  const read = await outcome(agent(`${orders}/7`, { intent: 'read: the user asked about order 7' }))
  const write = await outcome(
    agent(`${orders}/7/notes`, { ...note('urgent'), intent: 'write: the user asked to note that order 7 is urgent' }),
  )
  const outside = await outcome(
    agent(`${orders}/7/notes`, { ...note('free of charge'), intent: 'write: a note on order 7 as the user asked' }),
  )
  const played = {
    read,
    write,
    outside,
    bare: await outcome(fetch(`${orders}/7`)),
    elsewhere: early,
    otherBody: await outcome(fetch(`${orders}/7/notes`, { ...stolen[1], body: '{"text":"free of charge"}' })),
    again: await outcome(fetch(`${orders}/7/notes`, stolen[1])),
    handled: [...handled],
  }
  api.closeAllConnections()
  api.close()
  guard.close()
  return played
}

const issuer = await serve()
try {
  const results: Record<string, object> = {}
  for (const name of asked.length > 0 ? asked : Object.keys(APIS)) {
    results[name] = await play(name)
    tell(`${name}`)
    for (const [step, result] of Object.entries(results[name] ?? {})) tell(`  ${step.padEnd(10)} ${JSON.stringify(result)}`)
  }
  if (isJson) console.log(JSON.stringify(results))
} finally {
  issuer.stop()
}
