/**
 * @module
 * Whose word counts for principals: issuers outside, and keys of principals, each with a ceiling. As written, and as the rest
 * uses it.
 */
import { z } from 'zod'

import { ConfigError, InputError } from '../core/errors.ts'
import { parseCeiling, type GrantCeiling } from '../core/grant-ceiling.ts'
import type { Json, JsonObject } from '../core/json.ts'
import { toOutsidePrincipal } from '../core/outside-principal.ts'
import { parseJson } from '../core/parse-json.ts'
import { OUTSIDE_ALGORITHMS, type OutsideAlgorithm } from '../crypto/outside-keys.ts'
import { SUBJECT_KIND_NAMES, type SubjectKind, type SubjectRule } from '../crypto/subject-token.ts'
import { isFetchable } from '../server/trust/fetch-json.ts'
import { DURATION_PATTERN, parseDuration } from './durations.ts'
import { about, text } from './schema-parts.ts'

interface CeilingShape {
  readonly operations: readonly {
    readonly tool: string
    readonly effects?: readonly string[] | undefined
    readonly where?: Readonly<Record<string, unknown>> | undefined
  }[]
  readonly budgets?: readonly Readonly<Record<string, unknown>>[] | undefined
  readonly expires?: string | undefined
  readonly depth?: number | undefined
}

interface IssuerShape {
  readonly issuer: string
  readonly audience: string
  readonly jwks?: string | undefined
  readonly algorithms: readonly OutsideAlgorithm[]
  readonly accept: readonly SubjectKind[]
  readonly clients?: readonly string[] | undefined
  readonly maxAge: string
  readonly maxAuthAge?: string | undefined
  readonly acr?: readonly string[] | undefined
  readonly nonce: 'any' | 'bound'
  readonly grants: CeilingShape
}

export interface TrustShape {
  readonly issuers: readonly IssuerShape[]
  readonly signed?: CeilingShape | undefined
}

/** An issuer outside as the configuration has it. */
export interface IssuerTrust extends SubjectRule {
  readonly jwks?: string
  readonly boundNonce: boolean
  readonly ceiling: GrantCeiling
}

export interface TrustConfig {
  readonly issuers: readonly IssuerTrust[]
  readonly signed?: GrantCeiling
}

const duration = z
  .string()
  .regex(new RegExp(DURATION_PATTERN), 'is not a duration, write a whole number with a unit such as `5m`')

const ceiling: z.ZodType<CeilingShape> = z.strictObject({
  operations: z
    .array(
      z.strictObject({
        tool: text.meta(about('`upstream/tool`, or `upstream/*`.', 'As for `operations`.')),
        effects: z.array(text).optional().meta(about('The gravest effects. Default: `read`.', 'As for `operations`.')),
        where: z
          .record(z.string(), z.unknown())
          .optional()
          .meta(about('A constraint for each argument, as in a grant.', 'As for `operations`.')),
      }),
    )
    .min(1)
    .meta(
      about(
        'What such a grant may hold at most, as the operations of a grant. A grant that says nothing of its own has all of it.',
        'With a proof of a principal, or their key: grants for whatever stands here.',
      ),
    ),
  budgets: z
    .array(z.record(z.string(), z.unknown()))
    .optional()
    .meta(
      about(
        'Budgets that every such grant has, as in a grant. Each grant has its own count.',
        'Taking a budget away lets each grant be used without that end.',
      ),
    ),
  expires: text
    .optional()
    .meta(
      about('The longest life of such a grant, such as `8h`. Default: a day.', 'A stolen agent key acts for longer.'),
    ),
  depth: z
    .int()
    .min(0)
    .max(15)
    .optional()
    .meta(
      about(
        'How many delegations may follow below such a grant. Default: none.',
        'Passing authority on to other agents.',
      ),
    ),
})

const issuer: z.ZodType<IssuerShape> = z.strictObject({
  issuer: z
    .string()
    .regex(/^https?:\/\/[^\s?#@]+$/, 'must be an http or https URL without query, fragment or user information')
    .meta(
      about(
        'The `iss` of what it issues, character by character. Over `https:`, or on the loopback.',
        'Being any principal of that issuer. Never one of another issuer, and never a local one.',
      ),
    ),
  audience: text.meta(
    about(
      'What `aud` must be: the client id under which the host is known there, or the name of our API.',
      'With the audience of another service: whatever was issued for that service opens grants here, where a host hands it in.',
    ),
  ),
  jwks: z
    .string()
    .optional()
    .meta(
      about(
        'Where its keys are. Default: where its discovery document says, on the same origin; keys elsewhere have to be named here.',
        'As for `issuer`.',
      ),
    ),
  algorithms: z
    .array(z.enum(OUTSIDE_ALGORITHMS))
    .min(1)
    .default(['RS256'])
    .meta(
      about(
        'The algorithms of its signatures, whatever a proof says of itself.',
        'A weaker one that the issuer also has keys for.',
      ),
    ),
  accept: z
    .array(z.enum(SUBJECT_KIND_NAMES))
    .min(1)
    .default(['id-token'])
    .meta(
      about(
        'What counts as a proof: ID Tokens, JWT access tokens (`at+jwt`), ID-JAGs (`oauth-id-jag+jwt`).',
        'Access tokens are shown to APIs, which could hand them on; each more is one more thing to steal.',
      ),
    ),
  clients: z
    .array(text)
    .min(1)
    .optional()
    .meta(
      about(
        'The clients (`azp`, `client_id`) that a proof may have been issued to. Default: any, where `aud` is ours alone.',
        'Without it: with what any client of the issuer got for our audience.',
      ),
    ),
  maxAge: duration
    .default('5m')
    .meta(about('How old a proof may be, by its `iat`.', 'More time to use what was stolen before it was used.')),
  maxAuthAge: duration
    .optional()
    .meta(
      about('How long ago the principal may have logged in (`auth_time`). Default: not asked.', 'An old login counts.'),
    ),
  acr: z
    .array(text)
    .min(1)
    .optional()
    .meta(about('One of these has to be the `acr`. Default: not asked.', 'A weak login counts.')),
  nonce: z
    .enum(['any', 'bound'])
    .default('any')
    .meta(
      about(
        '`bound`: the `nonce` of an ID Token has to be the hash of the grant that it opens (`toGrantNonce`).',
        'With `any`, whoever has a host key and an unused proof chooses the grant, within the ceiling.',
      ),
    ),
  grants: ceiling.meta(about('The ceiling of grants that its principals open.', 'See its keys.')),
})

export const trustShape: z.ZodType<TrustShape> = z.strictObject({
  issuers: z
    .array(issuer)
    .max(64)
    .default([])
    .meta(
      about(
        'Issuers outside whose principals may open grants, each proof once and from a host key. Default: none.',
        'See its keys.',
      ),
    ),
  signed: ceiling
    .optional()
    .meta(
      about('The ceiling of grants that principals sign with enrolled keys. Default: none are taken.', 'See its keys.'),
    ),
})

/** Throws `ConfigError` that names the key. `own` is our issuer: what we issue is nobody's proof. */
export function toTrust(shape: TrustShape, own: string): TrustConfig {
  const seen = new Set<string>()
  const issuers = shape.issuers.map((each, index) => {
    const path = `trust.issuers[${index}]`
    if (seen.has(each.issuer)) throw new ConfigError(`two issuers in \`trust\` are \`${each.issuer}\``)
    seen.add(each.issuer)
    if (each.issuer.replace(/\/$/, '') === own.replace(/\/$/, ''))
      throw new ConfigError(`\`${path}.issuer\` in the configuration is our own issuer, which vouches for nobody`)
    return toIssuer(each, path)
  })
  const { signed } = shape
  return { issuers, ...(signed === undefined ? {} : { signed: toCeiling(signed, 'trust.signed') }) }
}

function toIssuer(shape: IssuerShape, path: string): IssuerTrust {
  const { issuer: url, audience, jwks, algorithms, accept, clients, acr, nonce, maxAuthAge } = shape
  assertFetchable(url, `${path}.issuer`)
  if (jwks !== undefined) assertFetchable(jwks, `${path}.jwks`)
  if (nonce === 'bound' && accept.some((kind) => kind !== 'id-token'))
    throw new ConfigError(
      `\`${path}.nonce\` in the configuration: only ID Tokens have a nonce, leave the others out of \`accept\``,
    )
  return {
    issuer: url,
    audience,
    algorithms,
    kinds: accept,
    boundNonce: nonce === 'bound',
    maxAge: parseDuration(shape.maxAge, `\`${path}.maxAge\``),
    ceiling: toCeiling(shape.grants, `${path}.grants`),
    ...(jwks === undefined ? {} : { jwks }),
    ...(clients === undefined ? {} : { clients }),
    ...(acr === undefined ? {} : { acr }),
    ...(maxAuthAge === undefined ? {} : { maxAuthAge: parseDuration(maxAuthAge, `\`${path}.maxAuthAge\``) }),
  }
}

function assertFetchable(given: string, path: string): void {
  const url = URL.parse(given)
  if (url === null || !isFetchable(url))
    throw new ConfigError(
      `\`${path}\` in the configuration: only \`https:\`, or \`http:\` on the loopback by its address`,
    )
  try {
    toOutsidePrincipal(given, 'x')
  } catch (cause) {
    throw new ConfigError(`\`${path}\` in the configuration: no usable URL`, { cause })
  }
}

function toCeiling(shape: CeilingShape, path: string): GrantCeiling {
  try {
    return parseCeiling(asPlain(shape))
  } catch (cause) {
    const why = cause instanceof InputError ? cause.message : 'cannot be read'
    throw new ConfigError(`\`${path}\` in the configuration: ${why}`, { cause })
  }
}

function asPlain(shape: CeilingShape): JsonObject {
  const value: Json = parseJson(JSON.stringify(shape))
  if (typeof value === 'object' && value !== null && !('length' in value)) return value
  throw new InputError('must be an object')
}
