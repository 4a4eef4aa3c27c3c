/**
 * @module
 * What the model said around each tool call, kept until the call is decided. A claim, for the record (`context.claimed`).
 */
import type { HostTask, JsonObject } from '../../index.ts'

const MAX_CALLS = 1000
const MAX_TEXT = 8192

const said = new WeakMap<HostTask, Map<string, JsonObject>>()

/** Keeps the reasoning and text of the turn that made this call; the beginning of what is longer than 8,192 characters. */
export function keepEvidence(task: HostTask, toolCallId: string, reasoning: string, text: string): void {
  const calls = said.get(task) ?? new Map<string, JsonObject>()
  said.set(task, calls)
  calls.set(toolCallId, { ...toClaim('reasoning', reasoning), ...toClaim('text', text) })
  const oldest = calls.keys().next().value
  if (calls.size > MAX_CALLS && oldest !== undefined) calls.delete(oldest)
}

/** What was kept; undefined when no middleware saw the call. */
export function findEvidence(task: HostTask, toolCallId: string): JsonObject | undefined {
  return said.get(task)?.get(toolCallId)
}

function toClaim(name: string, text: string): JsonObject {
  return text === '' ? {} : { [name]: text.slice(0, MAX_TEXT).toWellFormed() }
}
