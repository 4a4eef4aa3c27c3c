/**
 * @module
 * Refusals of calls that code mode makes: its sandbox tells the model only that a tool failed, so that they are kept for the
 * answer of the call around them. The AI SDK names a nested call after the outer one, `OUTER:tool-N`.
 */
const MAX_KEPT = 1000
const kept = new Map<string, string>()

/** Keeps the text of a refused call that stands within another one. */
export function keepRefusal(toolCallId: string, text: string): void {
  if (!toolCallId.includes(':')) return
  kept.set(toolCallId, text)
  const oldest = kept.keys().next().value
  if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest)
}

/** The texts of what was refused within a call; they are forgotten then. Nothing in them is secret. */
export function takeRefusals(toolCallId: string): readonly string[] {
  const within = [...kept].filter(([id]) => id.startsWith(`${toolCallId}:`))
  for (const [id] of within) kept.delete(id)
  return within.map(([, text]) => text)
}
