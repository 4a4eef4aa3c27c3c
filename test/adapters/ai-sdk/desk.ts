/**
 * @module
 * A real installation, and the tools of `desk` as an AI SDK agent has them: what each of them did is recorded.
 */
import { createHostTask, type HostTask } from '../../../src/index.ts'
import { createInstallation, type Installation } from '../../support/installation.ts'
import { DESCRIPTORS, SERVER } from '../../support/tools.ts'
import type { Ai } from './framework.ts'

export interface Desk {
  readonly installation: Installation
  /** What ran, as `name:arguments`. */
  readonly ran: string[]
  readonly tools: Readonly<Record<string, object>>
  openTask(purpose?: string): Promise<HostTask>
  /** The same task as an application finds it that was started anew. */
  resumeTask(task: HostTask): Promise<HostTask>
  /** Forgets what ran and was decided before; one installation serves many tests, because its engines are large. */
  reset(): Promise<void>
  /** Decisions of the log since `reset`, newest last. */
  decisions(): Promise<readonly string[]>
  close(): Promise<void>
}

export const UPSTREAM: string = SERVER
export const PURPOSE = 'Read record r1, delete record r1, send a note to bob@example.com'

export async function createDesk(ai: Ai, store: 'memory' | 'sqlite' = 'memory'): Promise<Desk> {
  const installation = await createInstallation({ upstream: { url: 'http://127.0.0.1:9' }, store })
  const ran: string[] = []
  let start = 0
  return {
    installation,
    ran,
    tools: toTools(ai, ran),
    openTask: async (purpose = PURPOSE) => toTask(installation, (await installation.openTask(purpose)).txn),
    resumeTask: async ({ txn }) => toTask(installation, txn),
    async reset() {
      ran.length = 0
      start = (await installation.entries()).length
    },
    decisions: async () =>
      (await installation.entries())
        .slice(start)
        .flatMap((entry) => (entry.kind === 'decision' ? [entry.decision] : [])),
    close: async () => installation.close(),
  }
}

async function toTask({ serving: { composed }, enrolled }: Installation, txn: string): Promise<HostTask> {
  const task = await composed.services.tasks.find(txn)
  if (task === undefined) throw new Error('no task')
  return createHostTask({
    pep: composed.pep,
    task,
    agent: enrolled.agent,
    async claimCall(id) {
      const burns = [{ domain: `call/${encodeURIComponent(txn)}`, id, expires: task.expires }]
      const result = await composed.store.commit({ burns })
      if (result.status !== 'applied') return false
      await result.durable
      return true
    },
  })
}

function toTools(ai: Ai, ran: string[]): Readonly<Record<string, object>> {
  const made = DESCRIPTORS.map(({ name: given, description, inputSchema }) => {
    const name = typeof given === 'string' ? given : ''
    const execute = async (input: object): Promise<unknown> => {
      ran.push(`${name}:${JSON.stringify(input)}`)
      return { text: `${name} is done` }
    }
    const schema = ai.jsonSchema(Object(inputSchema))
    return [name, ai.tool({ description, inputSchema: schema, execute })] as const
  })
  return Object.fromEntries(made)
}
