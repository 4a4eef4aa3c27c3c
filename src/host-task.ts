/**
 * @module
 * A task as an application holds it in its own process: what an in-process adapter needs, and nothing more.
 * Principal and task come from the host, explicitly or through `runInTask`; whoever finds none must refuse.
 */
import { AsyncLocalStorage } from 'node:async_hooks'

import { hashOf } from './core/bind.ts'
import type { EnrolledKey, Task } from './core/evidence.ts'
import type { JsonObject } from './core/json.ts'
import type { ToolFacts } from './core/manifest.ts'
import type { AccessRequest, IntentClaim, Mode } from './core/request.ts'
import type { Enforced, Pep, Perform } from './ports/pep.ts'

/** What an operator pins of a tool: hashed whole, in the form that `unbearer tools scan --tools` reads. */
export interface ToolDescriptor {
  readonly name: string
  readonly description: string
  /** The JSON Schema of the arguments, without the intent argument. */
  readonly inputSchema: JsonObject
}

/** One call of one tool, as an adapter received it from its framework. */
export interface HostCall {
  /** The group of tools: the `server` of a manifest, the first part of `upstream/tool` in grants. */
  readonly upstream: string
  readonly descriptor: ToolDescriptor
  /** Without the intent argument. */
  readonly arguments: JsonObject
  readonly intent?: IntentClaim
  /** What the framework merely claims, for example the reasoning around the call. */
  readonly claimed?: JsonObject
}

export interface HostTask {
  readonly txn: string
  /** As opened; after a restart `resumeTask(txn)` gives it again. */
  readonly task: Task
  /** Like `Pep.enforce`, for the enrolled agent of this task, with proof grade `process`. */
  enforce(call: HostCall, perform: Perform): Promise<Enforced>
  /** What is known of a tool that looks like this. */
  toolFacts(upstream: string, descriptor: ToolDescriptor): ToolFacts
  mode(upstream: string): Mode
  /**
   * True for the first claim of `id` in this task, also over restarts where the store outlives the process; settles when
   * that is on the disk. Ask between the decision and the effect.
   */
  claimCall(id: string): Promise<boolean>
}

export interface HostTaskOptions {
  readonly pep: Pep
  readonly task: Task
  /** The enrolled agent that the task names. */
  readonly agent: Pick<EnrolledKey, 'name' | 'jkt'>
  readonly claimCall: (id: string) => Promise<boolean>
}

/**
 * Builds the task over a PEP. `connect` does it for an application; a test gives a PEP of its own. Does not verify that the
 * task exists: every decision does.
 */
export function createHostTask({ pep, task, agent, claimCall }: HostTaskOptions): HostTask {
  return {
    txn: task.txn,
    task,
    enforce: async (call, perform) => pep.enforce(toAccessRequest(pep, task, agent, call), perform),
    toolFacts: (upstream, descriptor) => pep.tool(upstream, descriptor.name, hashOf({ ...descriptor })),
    mode: (upstream) => pep.mode(upstream),
    claimCall,
  }
}

function toAccessRequest(pep: Pep, task: Task, agent: HostTaskOptions['agent'], call: HostCall): AccessRequest {
  const { upstream, descriptor, intent, claimed } = call
  return {
    id: pep.newId(),
    plane: 'adapter',
    subject: task.principal,
    actor: { type: 'agent', id: agent.name, jkt: agent.jkt },
    action: {
      name: 'tools/call',
      body: { method: 'tools/call', name: descriptor.name, arguments: call.arguments },
    },
    resource: { type: 'tool', id: `${upstream}/${descriptor.name}` },
    context: {
      aud: `urn:unbearer:adapter:${encodeURIComponent(upstream)}`,
      upstream,
      tool: descriptor.name,
      descriptorHash: hashOf({ ...descriptor }),
      txn: task.txn,
      proof: { grade: 'process', jkt: agent.jkt, bodyBound: true },
      ...(intent === undefined ? {} : { intent }),
      ...(claimed === undefined ? {} : { claimed }),
    },
  }
}

const current = new AsyncLocalStorage<HostTask>()

/** Runs `work`, and everything asynchronous that it begins, in this task. */
export function runInTask<T>(task: HostTask, work: () => T): T {
  return current.run(task, work)
}

/** The task of the innermost `runInTask`; undefined outside of one, which must deny. */
export function currentTask(): HostTask | undefined {
  return current.getStore()
}
