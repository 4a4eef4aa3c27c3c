/**
 * @module
 * Reads a leaf of the log back: what an auditor relies on, and nothing that only a newer version would know.
 */
import { canonicalBytes } from './canonical.ts'
import type { Commitment, LogEntry } from './entry.ts'
import { UnbearerError } from './errors.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { parseJson } from './parse-json.ts'

/** The members that entries of every kind have, and the whole entry as it was logged. */
export interface ParsedEntry {
  readonly kind: LogEntry['kind']
  readonly id: string
  /** Milliseconds since the epoch. */
  readonly time: number
  readonly commitments: Readonly<Record<string, Commitment>>
  readonly value: JsonObject
}

const COMMITMENT = /^sha-256:[\w-]{43}$/u

/**
 * Parses a leaf; undefined when it is not the RFC 8785 form of an entry of version 1. Does not promise that the entry is in
 * any log, nor that its other members are complete.
 */
export function parseEntry(bytes: Uint8Array): ParsedEntry | undefined {
  const value = readCanonical(bytes)
  if (!isJsonObject(value)) return undefined
  const { v, kind, id, time } = value
  const commitments = toCommitments(value['commitments'])
  const known = kind === 'decision' || kind === 'outcome' || kind === 'control'
  if (v !== 1 || !known || typeof id !== 'string' || typeof time !== 'number' || commitments === undefined)
    return undefined
  return { kind, id, time, commitments, value }
}

/** The value of canonical bytes; undefined for any other spelling of it. */
function readCanonical(bytes: Uint8Array): Json | undefined {
  try {
    const value = parseJson(bytes)
    return Buffer.from(canonicalBytes(value)).equals(bytes) ? value : undefined
  } catch (cause) {
    if (cause instanceof UnbearerError) return undefined
    throw cause
  }
}

function toCommitments(value: Json | undefined): Readonly<Record<string, Commitment>> | undefined {
  if (!isJsonObject(value)) return undefined
  const pairs = Object.entries(value).flatMap(([name, commitment]) =>
    typeof commitment === 'string' && COMMITMENT.test(commitment) ? [[name, commitment] as const] : [],
  )
  return pairs.length === Object.keys(value).length ? Object.fromEntries(pairs) : undefined
}
