/**
 * @module
 * Resource servers of others, for which action credentials are issued: as they are written, and as the rest uses them.
 */
import { z } from 'zod'

import { ConfigError, InputError } from '../core/errors.ts'
import { assertDistinct, parseOperation, type HttpOperation } from '../core/http-operation.ts'
import type { Audience } from '../server/oauth/action-detail.ts'
import { about, text } from './schema-parts.ts'

export interface AudienceShape {
  readonly name: string
  readonly url: string
  readonly operations: Readonly<Record<string, string>>
  readonly peps: readonly string[]
}

export const audienceShape: z.ZodType<AudienceShape> = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, 'must be lower case letters, digits, `-` and `_`, at most 64')
    .meta(
      about(
        'The name in grants, policies, modes and manifests. No upstream may have it too.',
        'Renaming it detaches it from its grants and manifest: its operations become unknown, which denies.',
      ),
    ),
  url: z
    .string()
    .regex(/^https?:\/\/[^\s?#@]+$/, 'must be an http or https URL without query, fragment or user information')
    .meta(
      about(
        'The `aud` of its credentials: what the resource server calls itself.',
        'Credentials that were meant for one server are made out to another; they still need the key of the agent.',
      ),
    ),
  operations: z
    .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be a short name'), text)
    .meta(
      about(
        'What can be done there: a name for each method and path, such as `refund: POST /orders/{id}/refund`. What each does stands in its manifest (`unbearer tools scan NAME`).',
        'Nothing without the signature of an operator: the manifest pins method and path.',
      ),
    ),
  peps: z
    .array(text)
    .default([])
    .meta(
      about(
        'Names of enrolled `pep` keys that redeem credentials for it here, and may look at them. Default: none; it then redeems in a store of its own.',
        'Using up credentials of this audience that were shown to that key, and seeing what they are for.',
      ),
    ),
})

/** Throws `ConfigError` for a name or URL that is taken, and for operations that nobody could tell apart. */
export function toAudiences(shapes: readonly AudienceShape[], taken: readonly string[]): readonly Audience[] {
  const names = new Set(taken)
  const urls = new Set<string>()
  return shapes.map(({ name, url, operations, peps }, index) => {
    const path = `audiences[${index}]`
    if (names.has(name)) throw new ConfigError(`two upstreams or audiences are called \`${name}\``)
    if (urls.has(url)) throw new ConfigError(`two audiences have the url \`${url}\``)
    if (!URL.canParse(url)) throw new ConfigError(`\`${path}.url\` in the configuration is not a URL`)
    names.add(name)
    urls.add(url)
    return { name, url, operations: toOperations(operations, path), peps }
  })
}

function toOperations(operations: Readonly<Record<string, string>>, path: string): readonly HttpOperation[] {
  let at = `${path}.operations`
  try {
    const parsed = Object.entries(operations).map(([name, route]) => {
      at = `${path}.operations.${name}`
      return parseOperation(name, route)
    })
    at = `${path}.operations`
    assertDistinct(parsed)
    return parsed
  } catch (cause) {
    const why = cause instanceof InputError ? cause.message : 'cannot be read'
    throw new ConfigError(`\`${at}\` in the configuration: ${why}`, { cause })
  }
}
