/**
 * @module
 * The program of every server process: becomes the setup that its first message names, and answers what it has used.
 */
import { listen } from './listener.ts'
import { answerMessage, tool } from './tool.ts'

/** What a server process is to be. */
export type ServerStart =
  | { readonly kind: 'none' }
  | { readonly kind: 'bearer-eddsa'; readonly publicKey: Readonly<Record<string, string>> }
  | {
      readonly kind: 'bearer-eddsa-gateway'
      readonly publicKey: Readonly<Record<string, string>>
      readonly upstream: string
    }
  | { readonly kind: 'unbearer'; readonly config: string }
  | { readonly kind: 'unbearer-gateway'; readonly config: string }

/** `ask` names what is wanted; each order is answered with one message. */
export type Order = { readonly ask: 'usage' | 'close' } | { readonly ask: 'delay'; readonly delayMs: number }

/** CPU of the whole process in microseconds, user and system, and calls of the tool in it. */
export interface Usage {
  readonly cpuUs: number
  readonly ran: number
}

interface Running {
  readonly port: number
  close(): Promise<void>
}

const nothing = async (): Promise<void> => undefined

function report(where: string, fault: unknown): void {
  process.stderr.write(`bench: ${where}: ${fault instanceof Error ? fault.message : String(fault)}\n`)
}

/** Loads only what the setup is made of. */
async function start(given: ServerStart): Promise<Running> {
  if (given.kind === 'none') {
    return { port: await listen(async (_request, body) => answerMessage(body)), close: nothing }
  }
  if (given.kind === 'unbearer') return startInProcess(given.config)
  if (given.kind === 'unbearer-gateway') return startGateway(given.config)
  const { createBearerGateway, createBearerTool } = await import('./bearer.ts')
  const handler =
    given.kind === 'bearer-eddsa'
      ? await createBearerTool(given.publicKey)
      : await createBearerGateway(given.publicKey, given.upstream)
  return { port: await listen(handler), close: nothing }
}

async function startInProcess(config: string): Promise<Running> {
  const { createInProcess } = await import('./in-process.ts')
  const served = await createInProcess(config, report)
  return { port: await listen(served.handler), close: async () => served.close() }
}

async function startGateway(config: string): Promise<Running> {
  const [{ loadConfig }, { serveInstallation }] = await Promise.all([
    import('../src/config/load.ts'),
    import('../src/config/listen.ts'),
  ])
  const serving = await serveInstallation(await loadConfig(config), { version: 'bench', report })
  return { port: Number(new URL(serving.origin).port), close: async () => serving.close() }
}

function toUsage(): Usage {
  const { user, system } = process.cpuUsage()
  return { cpuUs: user + system, ran: tool.ran }
}

function isStart(value: unknown): value is ServerStart {
  return typeof value === 'object' && value !== null && 'kind' in value
}

function isOrder(value: unknown): value is Order {
  return typeof value === 'object' && value !== null && 'ask' in value
}

let running: Running | undefined

async function obey(message: unknown): Promise<object> {
  if (isStart(message)) {
    running = await start(message)
    return { port: running.port }
  }
  if (isOrder(message)) {
    if (message.ask === 'delay') tool.delayMs = message.delayMs
    if (message.ask === 'close') await running?.close()
  }
  return toUsage()
}

process.on('message', (message: unknown) => {
  obey(message).then(
    (answer) => process.send?.(answer),
    (fault: unknown) => process.send?.({ fault: fault instanceof Error ? fault.message : String(fault) }),
  )
})
// Nobody is left to ask for anything: a server never outlives the bench.
process.on('disconnect', () => process.exit(0))
