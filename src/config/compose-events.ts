/**
 * @module
 * Puts together what receives security events and what sends them.
 */
import type { Clock } from '../ports/clock.ts'
import { findOutsideKey } from '../crypto/outside-keys.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import type { Telemetry } from '../pdp/telemetry.ts'
import type { Store } from '../ports/store.ts'
import type { Services } from '../server/control.ts'
import { createEventReceiver, type ReceiveEvent, type TrustedEventIssuer } from '../server/events/receiver.ts'
import { createTransmitter, type Transmitter } from '../server/events/transmitter.ts'
import { fetchJson } from '../server/trust/fetch-json.ts'
import { createOutsideJwks } from '../server/trust/outside-jwks.ts'
import { readEventKeys, type EventsConfig } from './events.ts'
import type { Config } from './load.ts'

export interface EventParts {
  readonly config: Config
  readonly store: Store
  readonly clock: Clock
  readonly services: Services
  readonly issuerKeys: IssuerKeys
  readonly telemetry: Telemetry
  readonly report: (where: string, fault: unknown) => void
}

export interface Events {
  readonly receive?: ReceiveEvent
  readonly transmitter: Transmitter
}

/** Throws `ConfigError` for a file of keys that cannot be used. Begins to send at once; fetches no keys yet. */
export function createEvents({ config, store, clock, services, issuerKeys, telemetry, report }: EventParts): Events {
  const { issuer, events } = config
  const issuers = events.receive.map((each) => toIssuer(each, clock))
  const { revocations } = services
  const transmitter = createTransmitter({
    issuer,
    keys: issuerKeys,
    store,
    revocations,
    report,
    receivers: toReceivers(events),
  })
  telemetry.gauge('unbearer_events_waiting', () =>
    Object.values(transmitter.waiting()).reduce((most, count) => Math.max(most, count), 0),
  )
  const counted = (reason: string): void => telemetry.count('unbearer_events_refused_total', { reason })
  const receive = createEventReceiver({ ...services, store, clock, issuers, counted, report })
  return { transmitter, ...(issuers.length === 0 ? {} : { receive }) }
}

function toReceivers({ send }: EventsConfig): Parameters<typeof createTransmitter>[0]['receivers'] {
  return send.map(({ name, url, audience, authorization }) => ({
    name,
    url: new URL(url),
    audience,
    ...(authorization === undefined ? {} : { authorization: () => authorization.reveal() }),
  }))
}

function toIssuer({ jwks, keys: file, ...rule }: EventsConfig['receive'][number], clock: Clock): TrustedEventIssuer {
  if (file !== undefined) {
    const keys = readEventKeys(file)
    return { ...rule, findKey: async (kid, alg) => Promise.resolve(findOutsideKey(keys, kid, alg)) }
  }
  const { issuer } = rule
  const found = createOutsideJwks({ issuer, clock, fetchDocument: fetchJson, ...(jwks === undefined ? {} : { jwks }) })
  return { ...rule, findKey: async (kid, alg) => found.findSurely(kid, alg) }
}
