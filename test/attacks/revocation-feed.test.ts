/**
 * @module
 * Whoever stands between the issuer and a PEP, or subscribes too: replays, cuts, holds back, reorders and forges the feed of
 * revocations, to keep a kill switch from stopping a credential, or to stop what nobody revoked.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                             | fell                                               |
 * | ------------------------------------------------------------- | -------------------------------------------------- |
 * | `client/revocation-reader.ts` numbers need not follow         | cannot leave out a heartbeat that says nothing     |
 * | `client/revocation-reader.ts` no digest over the revocations  | cannot leave out or change …, of a shape …         |
 * | `client/revocation-reader.ts` any challenge will do           | cannot replay a heartbeat, nor a stream of before  |
 * | `client/revocation-reader.ts` behind what was heard is fresh  | is stale until it has caught up, …                 |
 * | `client/revocation-reader.ts` no age, or one that starts late | cannot hold it back …, cannot keep it silent …     |
 * | `client/revocation-reader.ts` the age by the server alone     | cannot use a machine that slept: …                 |
 * | `crypto/heartbeat.ts` of any issuer                           | out of something else that the issuer signed, …    |
 * | `server/feed/sink.ts` no bound                                | is cut, and the others are told                    |
 * | `server/feed/publisher.ts` a number of any feed will do       | tells everything to whoever knows its numbers …    |
 * | `server/feed/canaries.ts` whoever answers is heard            | for another, or one that was not asked, …          |
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { readServerEvents, type ServerEvent } from '../../src/client/event-stream.ts'
import { createRevocationReader, type Reading, type RevocationReader } from '../../src/client/revocation-reader.ts'
import { ACTION_TYP } from '../../src/core/credential.ts'
import { asJson, isJsonObject } from '../../src/core/json.ts'
import { refuseRevoked } from '../../src/core/revoked.ts'
import { HEARTBEAT_TYP } from '../../src/crypto/heartbeat.ts'
import { decodeJwt, signJwt, signJws, verifyJwt } from '../../src/crypto/jwt.ts'
import { toIssuerKeys } from '../../src/crypto/issuer-keys.ts'
import { generateKey, importKey, importPublicKey, type KeyPair } from '../../src/crypto/keys.ts'
import { newId } from '../../src/pdp/log-entries.ts'
import { createPublisher, type Publisher } from '../../src/server/feed/publisher.ts'
import type { JsonObject } from '../../src/index.ts'
import { createControlPlane, type ControlPlane } from '../fixtures/control-plane.ts'
import { toClaims } from '../support/claims.ts'

const ISSUER = 'https://unbearer-test.invalid'

let plane: ControlPlane
let publisher: Publisher
let issuer: KeyPair
let now = 0
let reader: RevocationReader

/** One stream as it comes out of the server, event by event. */
interface Wire {
  /** The next events up to and with a heartbeat. */
  next(): Promise<readonly ServerEvent[]>
}

function connect(subscriber: { challenge?: string; since?: string; jkt?: string; instance?: string } = {}): Wire {
  const stream = publisher.subscribe(
    { jkt: 'pep', name: 'pep', instance: subscriber.instance ?? newId(), ...subscriber },
    () => undefined,
  )
  if (stream === undefined) throw new Error('no room')
  const events = readServerEvents(stream)
  return {
    async next() {
      const taken: ServerEvent[] = []
      for (;;) {
        const event = await events.next()
        if (event.done === true) throw new Error('the stream ended')
        taken.push(event.value)
        if (event.value.event === 'heartbeat') return taken
      }
    },
  }
}

function connectReader(): { reading: Reading; wire: Wire } {
  const reading = reader.begin(newId())
  const { challenge, since } = reading
  return { reading, wire: connect({ challenge, ...(since === undefined ? {} : { since }) }) }
}

/** A stream that is live, with its first heartbeat taken. */
async function begin(): Promise<{ reading: Reading; wire: Wire }> {
  const { reading, wire } = connectReader()
  expect(takeAll(reading, await wire.next())).toBe(true)
  expect(reader.fresh()).toBe(true)
  return { reading, wire }
}

function takeAll(reading: Reading, events: readonly ServerEvent[]): boolean {
  const isGood = events.every((event) => reading.take(event))
  if (!isGood) reading.end()
  return isGood
}

/** Revokes a subject, and takes what went out of it. */
async function revoke(wire: Wire, id: string): Promise<readonly ServerEvent[]> {
  await plane.services.revocations.revoke('subject', id, plane.enrolled.operator)
  return wire.next()
}

/** Unless a test says otherwise only what is revoked beats: every test says itself when. */
function create(beatMs = 1_000_000): Publisher {
  return createPublisher({
    issuer: ISSUER,
    keys: { current: () => issuer },
    revocations: plane.services.revocations,
    clock: plane.clock,
    newId,
    beatMs,
    staleMs: 5_000,
  })
}

function claimsOf({ data }: ServerEvent | undefined = { event: '', data: '' }): JsonObject {
  return decodeJwt(data)?.claims ?? {}
}

beforeEach(async () => {
  plane = await createControlPlane('memory')
  issuer = importKey(generateKey('Ed25519'))
  publisher = create()
  now = 0
  reader = createRevocationReader({ issuer: ISSUER, keys: toIssuerKeys(issuer), monotonic: () => now })
})

afterEach(async () => {
  publisher.close()
  await plane.close()
})

describe('whoever holds the line', () => {
  it('cannot replay a heartbeat, nor a stream of before', async () => {
    const { reading, wire } = await begin()
    const events = await revoke(wire, 'user/bob')
    expect(takeAll(reading, events)).toBe(true)
    expect(takeAll(reading, events.slice(-1))).toBe(false)
    expect(reader.fresh()).toBe(false)
    const { wire: old } = connectReader()
    const first = await old.next()
    const again = reader.begin(newId())
    expect(takeAll(again, first)).toBe(false)
    expect(reader.fresh()).toBe(false)
  })

  it.each([
    ['a revocation', (events: readonly ServerEvent[]) => events.filter(({ event }) => event !== 'revocation')],
    ['a revocation with its heartbeat', () => []],
    ['one that it takes for another', (events: readonly ServerEvent[]) => events.map(toOther)],
  ])('cannot leave out or change %s', async (_what, change) => {
    const { reading, wire } = await begin()
    const changed = change(await revoke(wire, 'user/bob'))
    const isTaken = takeAll(reading, changed) && takeAll(reading, await revoke(wire, 'user/carol'))
    expect(isTaken).toBe(false)
    expect(reader.fresh()).toBe(false)
  })

  it('cannot put anything in force that nobody revoked', async () => {
    const { reading, wire } = await begin()
    const forged = { event: 'revocation', data: JSON.stringify({ rev: 1, dimension: 'all', id: '*', at: 1 }) }
    expect(reading.take(forged)).toBe(true)
    expect(reader.find('all', '*')).toBeUndefined()
    expect(takeAll(reading, await revoke(wire, 'user/bob'))).toBe(false)
    expect(reader.find('all', '*')).toBeUndefined()
  })

  it('cannot reorder: neither revocations nor heartbeats', async () => {
    for (const mix of [
      (a: readonly ServerEvent[], b: readonly ServerEvent[]) => [...b, ...a],
      (a: readonly ServerEvent[], b: readonly ServerEvent[]) => [
        ...a.slice(0, 1),
        ...b.slice(0, 1),
        ...b.slice(1),
        ...a.slice(1),
      ],
    ]) {
      const { reading, wire } = await begin()
      const [first, second] = [await revoke(wire, newId()), await revoke(wire, newId())]
      expect(takeAll(reading, mix(first, second))).toBe(false)
      expect(reader.fresh()).toBe(false)
    }
    const two = await begin()
    const { revocations } = plane.services
    // Both in one heartbeat, the other way round.
    await Promise.all(['a', 'b'].map(async (id) => revocations.revoke('task', id, plane.enrolled.operator)))
    const [a, b, beat] = await two.wire.next()
    expect([a?.event, b?.event, beat?.event]).toEqual(['revocation', 'revocation', 'heartbeat'])
    expect(
      takeAll(
        two.reading,
        [b, a, beat].filter((event) => event !== undefined),
      ),
    ).toBe(false)
  })

  it('cannot leave out a heartbeat that says nothing', async () => {
    publisher.close()
    publisher = create(5)
    const { reading, wire } = await begin()
    expect(takeAll(reading, await wire.next())).toBe(true)
    await wire.next()
    expect(takeAll(reading, await wire.next())).toBe(false)
  })

  it('cannot hold it back: what is late is stale, whatever it says', async () => {
    const { reading, wire } = await begin()
    // Every event arrives, in order, ten seconds after it was sent.
    now += 10_000
    expect(takeAll(reading, await revoke(wire, 'user/bob'))).toBe(true)
    expect(reader.find('subject', 'user/bob')).toBeDefined()
    expect(reader.fresh()).toBe(false)
    // Held back from the beginning: the time since it was asked for counts.
    const slow = connectReader()
    const first = await slow.wire.next()
    now += 4_000
    expect(takeAll(slow.reading, first)).toBe(true)
    expect(reader.remaining()).toBeLessThan(1_001)
    now += 1_001
    expect(reader.fresh()).toBe(false)
  })

  it('cannot use a machine that slept: what came since is as old as it is', async () => {
    publisher.close()
    publisher = create(20)
    const { reading, wire } = await begin()
    // Our clock stood still for a second, that of the server did not.
    for (let beats = 0; beats < 50; beats += 1) expect(takeAll(reading, await wire.next())).toBe(true)
    now += 5_001
    expect(reader.fresh()).toBe(false)
  })

  it('cannot keep it silent for longer than it says, and what was begun before is refused then', async () => {
    await begin()
    now += 4_000
    expect(refuseRevoked(reader, toClaims(reader.rev()))).toBeUndefined()
    now += 2_000
    expect(refuseRevoked(reader, toClaims(reader.rev()))).toBe('system.stale-revocations')
  })
})

function toOther(event: ServerEvent): ServerEvent {
  return { ...event, data: event.data.replace('user/bob', 'user/eve') }
}

/** The first heartbeat of a stream, made again by the attacker. */
async function forge(make: (claims: JsonObject) => string): Promise<boolean> {
  const { reading, wire } = connectReader()
  const events = await wire.next()
  const forged = { event: 'heartbeat', data: make(claimsOf(events.at(-1))) }
  return takeAll(reading, [...events.slice(0, -1), forged]) && reader.fresh()
}

describe('whoever forges a heartbeat', () => {
  const other = importKey(generateKey('Ed25519'))

  it('with another key, under whatever header', async () => {
    // The control: the same by the issuer is taken.
    expect(await forge((claims) => signJwt(issuer, HEARTBEAT_TYP, claims))).toBe(true)
    reader = createRevocationReader({ issuer: ISSUER, keys: toIssuerKeys(issuer), monotonic: () => now })
    expect(await forge((claims) => signJwt(other, HEARTBEAT_TYP, claims))).toBe(false)
    const header = { alg: 'Ed25519', kid: issuer.jkt, typ: HEARTBEAT_TYP }
    expect(await forge((claims) => signJws(other, header, claims))).toBe(false)
    expect(await forge((claims) => signJws(other, { ...header, jwk: { ...other.jwk } }, claims))).toBe(false)
    expect(await forge((claims) => signJws(issuer, { ...header, alg: 'ES256' }, claims))).toBe(false)
    expect(await forge((claims) => `${toNone(signJws(issuer, header, claims))}.`)).toBe(false)
  })

  it('out of something else that the issuer signed, or for another issuer', async () => {
    expect(await forge((claims) => signJwt(issuer, ACTION_TYP, claims))).toBe(false)
    expect(await forge((claims) => signJwt(issuer, HEARTBEAT_TYP, { ...claims, iss: 'https://other.invalid' }))).toBe(
      false,
    )
    expect(await forge(() => signJwt(issuer, ACTION_TYP, toJson(toClaims(0))))).toBe(false)
  })

  it('and a heartbeat is no credential', async () => {
    const { wire } = connectReader()
    const beat = (await wire.next()).at(-1)
    expect(verifyJwt(importPublicKey({ ...issuer.jwk }), ACTION_TYP, beat?.data ?? '')).toBeUndefined()
  })

  it('of a shape that is not ours', async () => {
    for (const change of [
      { more: 1 },
      { n: -1 },
      { n: 1.5 },
      { rev: '1' },
      { fresh: 1 },
      { prev: 9 },
      { challenge: newId() },
      { digest: 'sha-256:x' },
    ]) {
      expect(await forge((claims) => signJwt(issuer, HEARTBEAT_TYP, { ...claims, ...change }))).toBe(false)
    }
  })
})

function toNone(compact: string): string {
  const [, payload] = compact.split('.')
  return `${Buffer.from('{"alg":"none","typ":"unbearer-heartbeat+jwt"}').toString('base64url')}.${payload ?? ''}`
}

describe('a server that has lost something', () => {
  it('is stale until it has caught up, and what it forgot stays in force', async () => {
    const { reading, wire } = await begin()
    expect(takeAll(reading, await revoke(wire, 'user/bob'))).toBe(true)
    expect(takeAll(reading, await revoke(wire, 'user/carol'))).toBe(true)
    publisher.close()
    await plane.close()
    // An old copy, with numbers that are given out again.
    plane = await createControlPlane('memory')
    publisher = create()
    const restored = connectReader()
    expect(takeAll(restored.reading, await restored.wire.next())).toBe(true)
    expect(reader.rev()).toBe(2)
    expect(refuseRevoked(reader, toClaims(0, { sub: 'user/alice' }))).toBe('system.stale-revocations')
    expect(takeAll(restored.reading, await revoke(restored.wire, 'user/dave'))).toBe(true)
    expect(takeAll(restored.reading, await revoke(restored.wire, 'user/erin'))).toBe(true)
    expect(reader.fresh()).toBe(true)
    for (const id of ['user/bob', 'user/carol', 'user/dave', 'user/erin']) {
      expect(refuseRevoked(reader, toClaims(0, { sub: id }))).toBe('credential.revoked')
    }
  })

  it('tells everything to whoever knows its numbers from another start', async () => {
    const { wire } = connectReader()
    await wire.next()
    await revoke(wire, 'user/bob')
    for (const since of [
      '1',
      `${newId()}.1`,
      '99',
      `${JSON.stringify(claimsOf((await revoke(wire, newId())).at(-1))['feed']).slice(1, -1)}.99`,
    ]) {
      const events = await connect({ since }).next()
      expect(events.filter(({ event }) => event === 'revocation').length).toBe(plane.services.revocations.list().length)
      expect(claimsOf(events.at(-1))).toMatchObject({ prev: 0 })
    }
  })

  it('has a clock that jumps, and nobody minds', async () => {
    const { reading, wire } = await begin()
    for (const jump of [-86_400_000, 2 * 86_400_000]) {
      plane.clock.time += jump
      expect(takeAll(reading, await revoke(wire, newId()))).toBe(true)
      expect(reader.fresh()).toBe(true)
    }
  })
})

describe('whoever subscribes too often, or does not read', () => {
  it('finds no room beyond its own, and takes none from others', async () => {
    for (let taken = 0; taken < 16; taken += 1) connect({ jkt: 'flood' })
    expect(() => connect({ jkt: 'flood' })).toThrow('no room')
    const other = connect({ jkt: 'other' })
    expect(await other.next()).toHaveLength(1)
    for (let key = 0; publisher.size() < 256; key += 1) connect({ jkt: `pep-${Math.floor(key / 16)}` })
    expect(() => connect({ jkt: 'last' })).toThrow('no room')
  })

  it('is cut, and the others are told', async () => {
    let cut = 0
    const subscriber = { jkt: 'slow', name: 'slow', instance: newId() }
    expect(publisher.subscribe(subscriber, () => (cut += 1))).toBeDefined()
    const { reading, wire } = await begin()
    const { revocations } = plane.services
    for (let done = 0; done < 64; done += 1) {
      await revocations.revoke('subject', `user/${'x'.repeat(32_768)}${done}`, plane.enrolled.operator)
      expect(takeAll(reading, await wire.next())).toBe(true)
    }
    expect(cut).toBe(1)
    expect(publisher.size()).toBe(1)
    expect(reader.fresh()).toBe(true)
  })

  it('cannot fill a reader with what nobody signed', async () => {
    const { reading } = await begin()
    const line = { event: 'revocation', data: 'x'.repeat(8 * 1024 * 1024) }
    const taken = Array.from({ length: 9 }, () => reading.take(line))
    expect(taken.at(-1)).toBe(false)
  })
})

describe('whoever answers a canary', () => {
  it('for another, or one that was not asked, is not heard', async () => {
    const instance = newId()
    connect({ jkt: 'pep', instance })
    const asked: string[] = []
    publisher.canaries.join({ jkt: 'watcher', name: 'watcher', instance: 'watcher' }, (id) => asked.push(id))
    const result = publisher.canaries.ask('credential', 50)
    const id = asked[0] ?? ''
    const { canaries } = publisher
    expect(canaries.answer({ jkt: 'other' }, { id, instance, refused: true })).toBe(false)
    expect(canaries.answer({ jkt: 'pep' }, { id, instance: newId(), refused: true })).toBe(false)
    expect(canaries.answer({ jkt: 'pep' }, { id: newId(), instance, refused: true })).toBe(false)
    // It was asked, and did not refuse.
    expect(canaries.answer({ jkt: 'pep' }, { id, instance, refused: false })).toBe(true)
    expect(await result).toEqual({ peps: ['pep', 'watcher'], silent: ['pep', 'watcher'] })
    expect(canaries.answer({ jkt: 'pep' }, { id, instance, refused: true })).toBe(false)
  })
})

function toJson(value: object): JsonObject {
  const json = asJson(value)
  return isJsonObject(json) ? json : {}
}
