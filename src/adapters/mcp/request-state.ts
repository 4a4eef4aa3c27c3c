/**
 * @module
 * What a server wants back with the answers that it asked for (`requestState`, MCP 2026-07-28, "Multi Round-Trip Requests"), sealed
 * by the gateway: an agent can neither read nor change it, and it counts once, for the same call of the same agent in the same task.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

import { isJsonObject, parseJson, type JsonObject } from '../../index.ts'

/** Milliseconds in which a person may answer. */
const LIFE = 60 * 60_000
/** So many may wait for an answer; past that the oldest are forgotten, and their calls begin anew. */
const MOST = 10_000

export interface Asked {
  /** What the server gave; absent where it only asked. */
  readonly state?: string
  /** What it asked for: for each key the method, and for a form the names of its fields. */
  readonly asked: JsonObject
}

export interface RequestStates {
  /** `about`: the connection's binding and the call that was decided. */
  seal(about: string, given: Asked): string
  /** What was sealed about this and was not spent; undefined for everything else. */
  open(about: string, sealed: string): Asked | undefined
  /** True the first time, for one that `open` opened: a decision may hold a call, and only what is begun has spent it. */
  spend(sealed: string): boolean
}

/** Of one process: after a restart a call that was asked for something begins anew. */
export function createRequestStates(clock: { now(): number }): RequestStates {
  const key = randomBytes(32)
  const waiting = new Map<string, number>()
  const forget = (): void => {
    for (const [id, expires] of waiting) {
      if (expires > clock.now() && waiting.size < MOST) return
      waiting.delete(id)
    }
  }
  return {
    seal(about, given) {
      forget()
      const iv = randomBytes(12)
      const id = iv.toString('base64url')
      waiting.set(id, clock.now() + LIFE)
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(about))
      const text = Buffer.concat([cipher.update(JSON.stringify(given), 'utf8'), cipher.final()])
      return Buffer.concat([iv, text, cipher.getAuthTag()]).toString('base64url')
    },
    open(about, sealed) {
      const bytes = Buffer.from(sealed, 'base64url')
      if (bytes.length < 28 || bytes.toString('base64url') !== sealed) return undefined
      const iv = bytes.subarray(0, 12)
      const text = decrypt(key, iv, about, bytes)
      const id = iv.toString('base64url')
      const expires = waiting.get(id)
      if (text === undefined || expires === undefined || expires <= clock.now()) return undefined
      return toAsked(text)
    },
    spend: (sealed) => waiting.delete(Buffer.from(sealed, 'base64url').subarray(0, 12).toString('base64url')),
  }
}

function decrypt(key: Buffer, iv: Buffer, about: string, bytes: Buffer): string | undefined {
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: 16 })
    decipher.setAAD(Buffer.from(about)).setAuthTag(bytes.subarray(-16))
    return Buffer.concat([decipher.update(bytes.subarray(12, -16)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function toAsked(text: string): Asked | undefined {
  const value = parseJson(text, { numbers: 'any' })
  if (!isJsonObject(value) || !isJsonObject(value['asked'])) return undefined
  const { state, asked } = value
  return { asked, ...(typeof state === 'string' ? { state } : {}) }
}
