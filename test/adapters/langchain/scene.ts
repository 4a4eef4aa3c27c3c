/**
 * @module
 * Two tools, a task and a scripted decision point, for tests of what can be done around them; what ran is recorded.
 */
import type { HostTask } from '../../../src/index.ts'
import type { ScriptedPep } from '../../../src/testing/index.ts'
import { loadFramework, type Model, type Native, type ToolCall } from './framework.ts'

/** Undefined where it cannot be installed. */
export const native: Native | undefined = await loadFramework()

export const INTENT: string = 'write: the user asked for exactly this'

export interface Bench {
  readonly using: Native
  readonly pep: ScriptedPep
  readonly task: HostTask
  /** What ran. */
  readonly ran: string[]
  /** Unguarded: `read_file`, `delete_file`. */
  readonly originals: readonly ReturnType<Native['langchain']['tool']>[]
  guard(options?: object): readonly object[]
  /** The middleware of this task. */
  enforce(options?: object): object
}

export function createBench(txn = 'holes'): Bench {
  if (native === undefined) throw new Error('not installed')
  const using = native
  const pep = using.testing.createScriptedPep()
  const claimed = new Set<string>()
  const task = using.host.createHostTask({
    pep,
    task: {
      txn,
      principal: { type: 'user', id: 'alice' },
      actor: 'agent',
      openedBy: { role: 'host' },
      openedAt: 0,
      expires: Number.MAX_SAFE_INTEGER,
    },
    agent: { name: 'agent', jkt: 'agent' },
    claimCall: async (id) => !claimed.has(id) && claimed.add(id).has(id),
  })
  const ran: string[] = []
  const originals = ['read_file', 'delete_file'].map((name) =>
    using.langchain.tool(
      async ({ path }, { writer }) => {
        ran.push(`${name} ${String(path)}`)
        writer?.('SECRET partial')
        using.langgraph.getWriter()?.('SECRET partial')
        return 'SECRET final'
      },
      { name, description: name, schema: using.z.object({ path: using.z.string() }) },
    ),
  )
  return {
    using,
    pep,
    task,
    ran,
    originals,
    guard: (options = {}) => using.adapter.guardTools(originals, { upstream: 'files', ...options }),
    enforce: (options = {}) => using.adapter.enforceTools(task, options),
  }
}

export function toCall(id: string, name: string, path: string): ToolCall {
  return { id, name, args: { path, unbearer_intent: INTENT } }
}

export function toModel({ using }: Bench, calls: readonly ToolCall[]): Model {
  return using.fakeModel().respondWithTools(calls).respond(new using.messages.AIMessage('done'))
}

export function toInput({ using }: Bench): object {
  return { messages: [new using.messages.HumanMessage('go')] }
}

export async function attempt(work: () => Promise<unknown>): Promise<string> {
  try {
    await work()
    return 'resolved'
  } catch (fault) {
    return fault instanceof Error ? fault.message : 'failed'
  }
}
