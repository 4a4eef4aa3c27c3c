/**
 * @module
 * Refusals of calls that code mode makes: its sandbox tells the model only that a tool failed, so that they are kept for the
 * answer of the call around them. The AI SDK names a nested call after the outer one, `OUTER:tool-N`.
 */
import type { HostTask } from '../../index.ts'

const MAX_KEPT = 1000
/** By task: models of different principals use the same ids, and none may read what another was refused. */
const kept = new WeakMap<HostTask, Map<string, string>>()

/** Keeps the text of a refused call that stands within another one. */
export function keepRefusal(task: HostTask, toolCallId: string, text: string): void {
  if (!toolCallId.includes(':')) return
  const known = kept.get(task) ?? new Map<string, string>()
  kept.set(task, known)
  known.set(toolCallId, text)
  const oldest = known.keys().next().value
  if (known.size > MAX_KEPT && oldest !== undefined) known.delete(oldest)
}

/** The texts of what was refused within a call; they are forgotten then. Nothing in them is secret. */
export function takeRefusals(task: HostTask, toolCallId: string): readonly string[] {
  const known = kept.get(task)
  const within = [...(known ?? [])].filter(([id]) => id.startsWith(`${toolCallId}:`))
  for (const [id] of within) known?.delete(id)
  return within.map(([, text]) => text)
}
