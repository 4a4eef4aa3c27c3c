/**
 * What the API did before, and still does: it knows nothing of credentials.
 */
export interface Order {
  readonly id: string
  readonly notes: readonly string[]
}

const notes = new Map<string, readonly string[]>()
export const handled: string[] = []

export function readOrder(id: string): Order {
  handled.push(`read ${id}`)
  return { id, notes: notes.get(id) ?? [] }
}

export function noteOrder(id: string, text: string, by: string | undefined): Order {
  handled.push(`note ${id}: ${text}, for ${by}`)
  notes.set(id, [...(notes.get(id) ?? []), text])
  return { id, notes: notes.get(id) ?? [] }
}
