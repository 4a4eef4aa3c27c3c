/**
 * @module
 * Calls that come out of the message history. A client can write any history, so that such a call counts only when we held
 * this very action ourselves: then it is decided again, and what a person approved is consumed.
 */
import { hashOf, type HostTask, type JsonObject } from '../../index.ts'
import { isRecord } from './schema.ts'

/** True when the messages, which never hold the turn that is under way, hold this call already. */
export function isFromHistory(messages: readonly unknown[] | undefined, toolCallId: string): boolean {
  return (messages ?? []).some((message) => {
    const content = isRecord(message) ? message['content'] : undefined
    return Array.isArray(content) && content.some((part: unknown) => isCall(part, toolCallId))
  })
}

function isCall(part: unknown, toolCallId: string): boolean {
  return isRecord(part) && part['type'] === 'tool-call' && part['toolCallId'] === toolCallId
}

export interface HeldAction {
  readonly upstream: string
  readonly tool: string
  readonly arguments: JsonObject
}

const held = new WeakMap<HostTask, Set<string>>()

/** Remembers an action that waits for a person, here and, where the store outlives the process, over a restart. */
export async function hold(task: HostTask, action: HeldAction): Promise<void> {
  const digest = toDigest(action)
  const known = toHeld(task)
  if (known.has(digest)) return
  known.add(digest)
  // Without it the call is only refused after a restart, and the model makes it again.
  await task.claimCall(`held/${digest}`).catch(() => false)
}

/**
 * True when this action was held. After a restart it is asked of the store once: a claim cannot be looked at without making
 * it, so that the second question about the same action is always answered with no. Authorises nothing.
 */
export async function wasHeld(task: HostTask, action: HeldAction): Promise<boolean> {
  const digest = toDigest(action)
  const known = toHeld(task)
  if (known.has(digest)) return true
  const isFirst = await task.claimCall(`asked/${digest}`)
  if (!isFirst || (await task.claimCall(`held/${digest}`))) return false
  known.add(digest)
  return true
}

function toHeld(task: HostTask): Set<string> {
  const known = held.get(task) ?? new Set()
  held.set(task, known)
  return known
}

function toDigest({ upstream, tool, arguments: given }: HeldAction): string {
  return hashOf([upstream, tool, given])
}
