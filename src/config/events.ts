/**
 * @module
 * Security events: whose are received and about whom, and who is told of revocations. As written, and as the rest uses it.
 */
import { readFileSync } from 'node:fs'

import { z } from 'zod'

import { ConfigError } from '../core/errors.ts'
import { parseJson } from '../core/parse-json.ts'
import { OUTSIDE_ALGORITHMS, parseOutsideKeys, type OutsideAlgorithm, type OutsideKey } from '../crypto/outside-keys.ts'
import type { EventIssuer } from '../server/events/namespace.ts'
import type { EventReceiver } from '../server/events/transmitter.ts'
import { isFetchable } from '../server/trust/fetch-json.ts'
import { about, secret, text, type SecretShape } from './schema-parts.ts'
import type { Secret } from './secrets.ts'

interface ReceiveShape {
  readonly issuer: string
  readonly audience: string
  readonly jwks?: string | undefined
  readonly keys?: string | undefined
  readonly algorithms: readonly OutsideAlgorithm[]
  readonly domains: readonly string[]
  readonly agents: readonly string[]
  readonly risk: 'MEDIUM' | 'HIGH'
}

interface SendShape {
  readonly name: string
  readonly url: string
  readonly audience: string
  readonly authorization?: SecretShape | undefined
}

export interface EventsShape {
  readonly receive: readonly ReceiveShape[]
  readonly send: readonly SendShape[]
}

export interface EventsConfig {
  readonly receive: readonly (EventIssuer & { readonly jwks?: string; readonly keys?: string })[]
  readonly send: readonly (Omit<EventReceiver, 'authorization' | 'url'> & {
    readonly url: string
    readonly authorization?: Secret
  })[]
}

const received: z.ZodType<ReceiveShape> = z.strictObject({
  issuer: z
    .string()
    .regex(/^https?:\/\/[^\s?#@]+$/, 'must be an http or https URL without query, fragment or user information')
    .meta(
      about(
        'The `iss` of its events, character by character.',
        'Ending what principals of that issuer do, and nothing else: an event only takes away.',
      ),
    ),
  audience: text.meta(
    about('What `aud` must hold: our name there.', 'Events that were meant for somebody else count here.'),
  ),
  jwks: z
    .string()
    .optional()
    .meta(
      about('Where its keys are. Default: where its discovery document says, on the same origin.', 'As for `issuer`.'),
    ),
  keys: text
    .optional()
    .meta(about('A file with its keys (a JWK set), in place of `jwks`. Read at start.', 'As for `issuer`.')),
  algorithms: z
    .array(z.enum(OUTSIDE_ALGORITHMS))
    .min(1)
    .default(['RS256'])
    .meta(
      about(
        'The algorithms of its signatures, whatever an event says of itself.',
        'A weaker one that it has keys for.',
      ),
    ),
  domains: z
    .array(z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, 'must be a domain in lower case'))
    .default([])
    .meta(
      about(
        'Domains of e-mail addresses that are its own: it may speak of principals `user/NAME@DOMAIN`. Default: of principals that it vouched for itself.',
        'Ending tasks of every principal with such an address.',
      ),
    ),
  agents: z
    .array(text)
    .default([])
    .meta(
      about(
        'Agents, by name or thumbprint, of which it may speak. Default: none.',
        'Ending tasks of these agents, and revoking their keys for good.',
      ),
    ),
  risk: z
    .enum(['MEDIUM', 'HIGH'])
    .default('HIGH')
    .meta(about('The risk level from which a principal is signed out.', 'With `HIGH`, staying signed in at `MEDIUM`.')),
})

const sent: z.ZodType<SendShape> = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be lower case letters, digits, `-` and `_`, at most 64')
    .meta(
      about('Under which it is remembered what it has taken.', 'Renaming it: what was not sent yet is never sent.'),
    ),
  url: z
    .string()
    .regex(/^https?:\/\/[^\s#@]+$/, 'must be an http or https URL without fragment or user information')
    .meta(about('Where events are posted (RFC 8935).', 'Reading who and what is revoked.')),
  audience: text.meta(about('The `aud` of what is sent.', 'Events are accepted by somebody else.')),
  authorization: secret
    .optional()
    .meta(
      about(
        'The value of the header `Authorization`. Default: none.',
        'Sending to that receiver under our name; it still verifies signatures.',
      ),
    ),
})

export const eventsShape: z.ZodType<EventsShape> = z.strictObject({
  receive: z
    .array(received)
    .max(64)
    .default([])
    .meta(about('Issuers whose security events are received at `POST /events`. Default: none.', 'See its keys.')),
  send: z
    .array(sent)
    .max(64)
    .default([])
    .meta(
      about(
        'Who is told of every revocation, from the start that first names them on. Default: nobody.',
        'See its keys.',
      ),
    ),
})

/** `at` resolves a path. Throws `ConfigError` that names the key. Reads no key file. */
export function toEvents(
  { receive, send }: EventsShape,
  at: (path: string) => string,
  toSecret: (shape: SecretShape) => Secret,
): EventsConfig {
  assertDistinct(
    receive.map(({ issuer }) => issuer),
    'issuers in `events.receive`',
  )
  assertDistinct(
    send.map(({ name }) => name),
    'receivers in `events.send`',
  )
  return {
    receive: receive.map(({ jwks, keys, ...rule }, index) => {
      const path = `events.receive[${index}]`
      if (jwks !== undefined && keys !== undefined) throw wrong(path, 'takes `jwks` or `keys`, not both')
      if (keys === undefined) assertFetchable(jwks ?? rule.issuer, `${path}.${jwks === undefined ? 'issuer' : 'jwks'}`)
      return {
        ...rule,
        ...(jwks === undefined ? {} : { jwks }),
        ...(keys === undefined ? {} : { keys: at(keys) }),
      }
    }),
    send: send.map(({ name, url, audience, authorization }, index) => {
      assertFetchable(url, `events.send[${index}].url`)
      return { name, url, audience, ...(authorization === undefined ? {} : { authorization: toSecret(authorization) }) }
    }),
  }
}

function assertDistinct(names: readonly string[], what: string): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new ConfigError(`two ${what} are \`${twice}\``)
}

function assertFetchable(given: string, path: string): void {
  const url = URL.parse(given)
  if (url === null || !isFetchable(url)) throw wrong(path, 'only `https:`, or `http:` on the loopback by its address')
}

function wrong(path: string, why: string): ConfigError {
  return new ConfigError(`\`${path}\` in the configuration: ${why}`)
}

/** The keys of a JWK set in a file. Throws `ConfigError` that names the file. */
export function readEventKeys(path: string): readonly OutsideKey[] {
  try {
    return parseOutsideKeys(parseJson(readFileSync(path), { numbers: 'any' }))
  } catch (cause) {
    throw new ConfigError(`\`${path}\` is not a JWK set with public keys`, { cause })
  }
}
