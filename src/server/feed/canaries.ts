/**
 * @module
 * Who has refused the canary of a revocation. A PEP that left a moment ago may still believe itself fresh, so that it is asked
 * too, and named when it does not come back: a kill switch that stops nothing must not look like one that does.
 */

/** Of a subscriber, what makes it the same one over streams. */
export interface Instance {
  readonly jkt: string
  readonly name: string
  readonly instance: string
}

export type Send = (id: string, credential: string) => void

export interface Canaries {
  /** Returns the way to leave. */
  join(who: Instance, send: Send): () => void
  /** Names those that did not refuse `credential` in time. */
  ask(
    credential: string,
    waitMs: number,
  ): Promise<{ readonly peps: readonly string[]; readonly silent: readonly string[] }>
  /** An answer, by a key that was authenticated; false when nothing of the kind was asked. */
  answer(by: { readonly jkt: string }, answer: Answer): boolean
}

export interface Answer {
  readonly id: string
  readonly instance: string
  /** True only where it was refused because it is revoked. */
  readonly refused: boolean
}

interface Asked {
  readonly id: string
  readonly credential: string
  /** Those that have not refused yet. */
  readonly open: Map<string, string>
  readonly done: () => void
}

interface Present extends Instance {
  /** Several while one stream follows another. */
  sends: readonly Send[]
  /** Since when it is gone, by the clock of this process. */
  goneAt?: number
}

/** More than these of one key that come and go are forgotten, oldest first. */
const MAX_OF_ONE_KEY = 32

export function createCanaries(options: { readonly newId: () => string; readonly lingerMs: number }): Canaries {
  const present = new Map<string, Present>()
  const asked = new Map<string, Asked>()
  const forget = (): void => {
    const before = performance.now() - options.lingerMs
    for (const [key, { goneAt }] of present) if (goneAt !== undefined && goneAt < before) present.delete(key)
  }
  return {
    join(who, send) {
      forget()
      const key = toKey(who)
      const known: Present = present.get(key) ?? { ...who, sends: [] }
      known.sends = [...known.sends, send]
      delete known.goneAt
      present.set(key, known)
      for (const { id, credential, open } of asked.values()) if (open.has(key)) send(id, credential)
      return () => {
        known.sends = known.sends.filter((each) => each !== send)
        if (known.sends.length === 0) known.goneAt = performance.now()
        forgetOfKey(present, who.jkt)
      }
    },
    async ask(credential, waitMs) {
      forget()
      const open = toNames([...present.values()])
      const peps = [...open.values()]
      if (open.size === 0) return { peps, silent: [] }
      const id = options.newId()
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, waitMs)
        const done = (): void => {
          clearTimeout(timer)
          resolve()
        }
        asked.set(id, { id, credential, open, done })
        for (const { sends } of present.values()) sends.at(-1)?.(id, credential)
      })
      asked.delete(id)
      return { peps, silent: [...open.values()] }
    },
    answer({ jkt }, { id, instance, refused }) {
      const found = asked.get(id)
      const key = toKey({ jkt, instance })
      if (found?.open.has(key) !== true) return false
      // One that did not refuse stays among the silent: it is named all the same.
      if (refused) found.open.delete(key)
      if (found.open.size === 0) found.done()
      return true
    },
  }
}

function toKey({ jkt, instance }: Pick<Instance, 'jkt' | 'instance'>): string {
  return `${jkt}/${instance}`
}

/** Two of one name are told apart by a part of what they call themselves. */
function toNames(all: readonly Present[]): Map<string, string> {
  return new Map(
    all.map((each) => {
      const isAlone = all.filter(({ name }) => name === each.name).length === 1
      return [toKey(each), isAlone ? each.name : `${each.name} (${each.instance.slice(0, 8)})`]
    }),
  )
}

function forgetOfKey(present: Map<string, Present>, jkt: string): void {
  const gone = [...present].filter(([, each]) => each.jkt === jkt && each.goneAt !== undefined)
  for (const [key] of gone.slice(0, Math.max(0, gone.length - MAX_OF_ONE_KEY))) present.delete(key)
}
