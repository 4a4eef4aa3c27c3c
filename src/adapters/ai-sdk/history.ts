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

/** After how many restarts a held action is still known; then the model has to make the call again. */
const RESTARTS = 8

/** Remembers an action that waits for a person, here and, where the store outlives the process, over restarts. */
export async function hold(task: HostTask, action: HeldAction): Promise<void> {
  const digest = toDigest(action)
  const known = toHeld(task)
  if (known.has(digest)) return
  known.add(digest)
  // Without them the call is only refused after a restart.
  await Promise.allSettled(NUMBERS.map(async (number) => task.claimCall(`held/${number}/${digest}`)))
}

/**
 * True when this action was held. A claim cannot be looked at without making it, so that each question after a restart uses
 * up one of the claims that `hold` made, whatever its answer was. Authorises nothing.
 */
export async function wasHeld(task: HostTask, action: HeldAction): Promise<boolean> {
  const digest = toDigest(action)
  const known = toHeld(task)
  if (known.has(digest)) return true
  for (const number of NUMBERS) {
    // One after the other: the first claim that nobody used is ours.
    const isUnused = await task.claimCall(`asked/${number}/${digest}`)
    if (!isUnused) continue
    if (await task.claimCall(`held/${number}/${digest}`)) return false
    known.add(digest)
    return true
  }
  return false
}

const NUMBERS: readonly number[] = Array.from({ length: RESTARTS }, (_, number) => number)

function toHeld(task: HostTask): Set<string> {
  const known = held.get(task) ?? new Set()
  held.set(task, known)
  return known
}

function toDigest({ upstream, tool, arguments: given }: HeldAction): string {
  return hashOf([upstream, tool, given])
}
