/**
 * @module
 * The vectors of `docs/reference/wire.md`: streams of the feed, byte for byte, and what a reader makes of them. They are made here
 * (`UPDATE_REFERENCE=1`) from a fixed key, so that whoever reads the feed in another language can compare.
 */
import { readFileSync, writeFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { asJson } from '../core/json.ts'
import { digestOfLines, signHeartbeat, type Heartbeat } from '../crypto/heartbeat.ts'
import { toIssuerKeys } from '../crypto/issuer-keys.ts'
import { importKey, importPublicKey } from '../crypto/keys.ts'
import type { Revocation } from '../ports/revocations.ts'
import { readServerEvents } from './event-stream.ts'
import { createRevocationReader } from './revocation-reader.ts'

const PAGE = new URL('../../docs/reference/vectors/revocations.json', import.meta.url)

interface Vector {
  readonly name: string
  readonly challenge: string
  readonly stream: string
  /** False: the stream has to be given up. */
  readonly fits: boolean
  /** Right after the last event, read as soon as the first was asked for. */
  readonly fresh: boolean
  readonly rev: number
  /** `dimension/id` of what is in force. */
  readonly revoked: readonly string[]
}

interface Vectors {
  readonly issuer: string
  readonly jwk: Readonly<Record<string, string>>
  readonly vectors: readonly Vector[]
}

/** The key of RFC 8037, appendix A, which everybody knows. */
const KEY = importKey({
  kty: 'OKP',
  crv: 'Ed25519',
  x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
  d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A',
})
const ISSUER = 'https://unbearer.example'
const CHALLENGE = 'AAAAAAAAAAAAAAAAAAAAAA'
const SUBJECT: Revocation = { rev: 41, dimension: 'subject', id: 'user/alice', at: 1_790_000_000_000 }
const TASK: Revocation = { rev: 42, dimension: 'task', id: 'AAECAwQFBgcICQoLDA0ODw', at: 1_790_000_001_500 }
const TOOL: Revocation = { rev: 44, dimension: 'tool', id: 'orders/refund', at: 1_790_000_001_500 }
const STOP: Revocation = { rev: 45, dimension: 'all', id: '*', at: 1_790_000_002_000 }
const ISSUED: Revocation = { rev: 46, dimension: 'all', id: 'issued', at: 1_790_000_003_000 }
const RESUMED: Revocation = { rev: 47, dimension: 'all', id: 'resumed', at: 1_790_000_003_000 }

const FIRST: Heartbeat = {
  iss: ISSUER,
  iat: 1_790_000_001,
  feed: 'EBESExQVFhcYGRobHB0eHw',
  n: 7,
  elapsed: 60_000,
  prev: 0,
  rev: 41,
  digest: digestOfLines([JSON.stringify(SUBJECT)]),
  fresh: true,
  stale_ms: 5_000,
  challenge: CHALLENGE,
}

function toLine(revocation: Revocation): string {
  return `event: revocation\ndata: ${JSON.stringify(revocation)}\n\n`
}

function toBeat(beat: Heartbeat): string {
  return `id: ${beat.feed}.${beat.rev}\nevent: heartbeat\ndata: ${signHeartbeat(toIssuerKeys(KEY), beat)}\n\n`
}

/** The heartbeat that follows `before`, over these revocations. */
function follow(before: Heartbeat, more: Partial<Heartbeat>, ...revocations: readonly Revocation[]): Heartbeat {
  const { challenge: _challenge, ...rest } = before
  const lines = revocations.map((each) => JSON.stringify(each))
  const rev = revocations.at(-1)?.rev ?? before.rev
  const next = { n: before.n + 1, elapsed: before.elapsed + 1_000, prev: before.rev, rev, digest: digestOfLines(lines) }
  return { ...rest, ...next, ...more }
}

function make(): Vectors {
  const begin = toLine(SUBJECT) + toBeat(FIRST)
  const second = follow(FIRST, {}, TASK, TOOL)
  const rest = toLine(TASK) + toLine(TOOL) + toBeat(second)
  const stopped = follow(FIRST, {}, STOP)
  const stop = begin + toLine(STOP) + toBeat(stopped)
  const resume = toLine(ISSUED) + toLine(RESUMED) + toBeat(follow(stopped, {}, ISSUED, RESUMED))
  const all = ['subject/user/alice', `task/${TASK.id}`, 'tool/orders/refund']
  const [one] = all
  const known = one === undefined ? [] : [one]
  const base = { challenge: CHALLENGE, fits: true, fresh: true, rev: 41, revoked: known }
  const broken = { ...base, fits: false, fresh: false }
  return {
    issuer: ISSUER,
    jwk: { ...KEY.jwk },
    vectors: [
      { ...base, name: 'a stream that begins', stream: begin },
      { ...base, name: 'two revocations under one heartbeat', stream: begin + rest, rev: 44, revoked: all },
      { ...base, name: 'a stop of everything', stream: stop, rev: 45, revoked: [...known, 'all/*'] },
      {
        ...base,
        name: 'a stop of everything that was ended',
        stream: stop + resume,
        rev: 47,
        revoked: [...known, 'all/issued', 'all/resumed'],
      },
      { ...base, name: 'comments and a canary in between', stream: `: hello\n\n${begin}event: canary\ndata: {}\n\n` },
      {
        ...broken,
        name: 'the challenge of somebody else',
        stream: begin,
        challenge: 'BBBBBBBBBBBBBBBBBBBBBB',
        rev: 0,
        revoked: [],
      },
      { ...broken, name: 'a revocation is left out', stream: begin + toLine(TOOL) + toBeat(second) },
      { ...broken, name: 'two in another order', stream: begin + toLine(TOOL) + toLine(TASK) + toBeat(second) },
      { ...broken, name: 'a heartbeat is left out', stream: begin + toBeat(follow(second, {})) },
      { ...broken, name: 'a heartbeat comes twice', stream: begin + toBeat(FIRST) },
      { ...broken, name: 'another feed', stream: begin + toBeat(follow(FIRST, { feed: 'ICEiIyQlJicoKSorLC0uLw' })) },
      {
        ...broken,
        name: 'a signature that does not verify',
        stream: begin + toBeat(follow(FIRST, {})).replace(/..\n\n$/, 'AA\n\n'),
      },
      { ...base, name: 'a line that no heartbeat covers is not in force', stream: begin + toLine(TASK) },
      {
        ...base,
        name: 'a server that could not record',
        stream: begin + toBeat(follow(FIRST, { fresh: false })),
        fresh: false,
      },
    ],
  }
}

function read(): Vectors {
  const made: Vectors = JSON.parse(readFileSync(PAGE, 'utf8'))
  return made
}

describe('the vectors of the feed', () => {
  if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(PAGE, `${JSON.stringify(make(), undefined, 1)}\n`)

  it('are published as they are made', () => {
    expect(read()).toEqual(asJson(make()))
  })

  it.each(read().vectors)('$name', async ({ challenge, stream, ...expected }) => {
    const { issuer, jwk } = read()
    const reader = createRevocationReader({ issuer, keys: toIssuerKeys(importPublicKey(jwk)), monotonic: () => 0 })
    const reading = reader.begin(challenge)
    let fits = true
    for await (const event of readServerEvents([Buffer.from(stream)])) fits &&= reading.take(event)
    if (!fits) reading.end()
    const known = [SUBJECT, TASK, TOOL, STOP, ISSUED, RESUMED].filter(
      ({ dimension, id }) => reader.find(dimension, id) !== undefined,
    )
    const revoked = known.map(({ dimension, id }) => `${dimension}/${id}`)
    expect({ name: expected.name, fits, fresh: reader.fresh(), rev: reader.rev(), revoked }).toEqual(expected)
  })
})
