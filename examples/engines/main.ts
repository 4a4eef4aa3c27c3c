/**
 * Two shops with policies of their own, one in OPA and one in Topaz. Each puts Unbearer in front of its agent, and no policy is
 * changed: what a person may not do, their agent may not do either, and what Unbearer adds comes on top.
 * `npm start`, or `npm -s start -- --json`; `gate.sh` has what comes before.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { createSigningFetch, openTask } from 'unbearer/client'

import { findServer, startOpaShop, startTopazShop, type Shop } from './shops.ts'

const isJson = process.argv.includes('--json')

function tell(text: string): void {
  if (!isJson) console.log(text)
}

/** `unbearer serve`, until it says where it listens. */
async function serve(gate: string) {
  const child = spawn('unbearer', ['serve', '--json'], { cwd: gate, stdio: ['ignore', 'pipe', 'ignore'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
  }
  for await (const line of createInterface({ input: child.stdout })) return { origin: String(JSON.parse(line).origin), stop }
  throw new Error('unbearer did not start')
}

interface Ask {
  readonly principal: string
  /** What the principal said. */
  readonly purpose: string
  readonly tool: string
  readonly args: Readonly<Record<string, string | number>>
  /** What the agent says that it does. */
  readonly intent: string
}

interface Outcome {
  readonly executed: boolean
  readonly reason?: string
}

/** The agent in a task of its principal. Its MCP client is as it was; only its `fetch` signs. */
async function act(origin: string, gate: string, ask: Ask): Promise<Outcome> {
  const { purpose, principal, tool, args, intent } = ask
  const key = (name: string): string => join(gate, 'keys', `${name}.jwk`)
  const { txn } = await openTask({ url: origin, key: key('host'), purpose, principal, actor: 'desk-agent' })
  const agent = new Client({ name: 'desk-agent', version: '1.0.0' })
  const signing = createSigningFetch({ url: origin, key: key('agent'), txn })
  await agent.connect(new StreamableHTTPClientTransport(new URL('/mcp/orders', origin), { fetch: signing }))
  const answer = await agent.callTool({ name: tool, arguments: { unbearer_intent: intent, ...args } })
  await agent.close()
  const said = JSON.stringify(answer.content)
  const reason = /\(([a-z]+\.[a-z-]+)\)/.exec(said)?.[1]
  tell(`  ${principal}: "${purpose}"\n    ${tool} ${JSON.stringify(args)}: ${reason ?? 'executed'}`)
  return { executed: answer.isError !== true, ...(reason === undefined ? {} : { reason }) }
}

const find = {
  principal: 'alice',
  purpose: 'What is order 7 about?',
  tool: 'find',
  args: { order: '7' },
  intent: 'read: the user asked about order 7',
}
const toRefund = (principal: string, amount: number): Ask => ({
  principal,
  purpose: `Refund ${amount} of order 7 to ada@example.com`,
  tool: 'refund',
  args: { order: '7', amount, to: 'ada@example.com' },
  intent: 'spend: the user asked for a refund of order 7',
})

async function play(title: string, gate: string, shop: Shop) {
  rmSync(gate, { recursive: true, force: true })
  await promisify(execFile)('sh', ['gate.sh', gate, shop.engine], { cwd: import.meta.dirname })
  const { origin, stop } = await serve(gate)
  const asked = async (ask: Ask): Promise<Outcome> => act(origin, gate, ask)
  try {
    tell(`\n${title}`)
    const told = {
      find: await asked(find),
      refund: await asked(toRefund('alice', 30)),
      tooMuch: await asked(toRefund('alice', 80)),
      notHers: await asked(toRefund('carol', 30)),
      drift: await asked({ ...toRefund('alice', 30), intent: 'read: the user asked about order 7' }),
    }
    tell('  Now the policy server is stopped.')
    await shop.stop()
    return { ...told, away: await asked(find) }
  } finally {
    await stop()
  }
}

async function inShop(name: string, title: string, start: (binary: string, dir: string) => Promise<Shop>) {
  const binary = findServer(name)
  if (binary === undefined) {
    const skipped = `there is no \`${name}\`: put it on the path, or build it with \`npm run engines\` in the clone`
    tell(`\n${title}\n  skipped: ${skipped}`)
    return { skipped }
  }
  const dir = mkdtempSync(join(tmpdir(), `unbearer-${name}-`))
  try {
    const shop = await start(binary, dir)
    return await play(title, join(import.meta.dirname, `gate-${name}`), shop).finally(async () => shop.stop())
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const told = {
  opa: await inShop('opa', 'The shop with OPA', startOpaShop),
  topaz: await inShop('topazd', 'The shop with Topaz', startTopazShop),
}
if (isJson) console.log(JSON.stringify(told))
if ('skipped' in told.opa && 'skipped' in told.topaz) process.exitCode = 2
