/**
 * @module
 * `upstreams[].oauth`: the gateway as a client of the authorization server of an upstream.
 */
import { z } from 'zod'

import type { RefreshPlace, UpstreamOAuth } from '../adapters/mcp/upstream-oauth.ts'
import { ConfigError } from '../core/errors.ts'
import { writeDurably } from '../server/durable-file.ts'
import { about, secret, text, type SecretShape } from './schema-parts.ts'
import type { Secret } from './secrets.ts'

export interface UpstreamOauthShape {
  readonly issuer: string
  readonly client: string
  readonly secret?: SecretShape | undefined
  readonly refresh?: SecretShape | undefined
  readonly scope?: string | undefined
  readonly resource?: string | undefined
}

export const upstreamOauthShape: z.ZodType<UpstreamOauthShape> = z.strictObject({
  issuer: z
    .string()
    .regex(/^https?:\/\/[^\s?#@]+$/, 'must be an http or https URL without query, fragment or user information')
    .meta(
      about(
        'The authorization server of the upstream, as its metadata calls itself. The upstream cannot name another one.',
        'The client secret, and from then on the tokens of the upstream, go to a server of the attacker.',
      ),
    ),
  client: text.meta(about('The id of this gateway at that server.', 'Nothing without the secret.')),
  secret: secret
    .optional()
    .meta(
      about(
        'The secret of the client. Default: a public client, which needs `refresh`.',
        'Tokens for the upstream, without any decision.',
      ),
    ),
  refresh: secret
    .optional()
    .meta(
      about(
        'A refresh token, used instead of client credentials. One in a file is replaced there when the server replaces it; one from the environment only until the gateway ends.',
        'Tokens for the upstream, without any decision.',
      ),
    ),
  scope: text
    .optional()
    .meta(
      about('What is asked for. Default: what the server gives.', 'More power at the upstream than the gateway needs.'),
    ),
  resource: z
    .string()
    .regex(/^https?:\/\/[^\s#@]+$/, 'must be an http or https URL')
    .optional()
    .meta(
      about(
        'The resource that tokens are for (RFC 8707). Default: `url`.',
        'Tokens that are good at another server than this upstream.',
      ),
    ),
})

/** The same with its secrets as places, and the resource that tokens are for. */
export interface UpstreamOAuthConfig {
  readonly issuer: string
  readonly client: string
  readonly secret?: Secret
  readonly refresh?: Secret
  readonly scope?: string
  readonly resource: string
}

/** Throws `ConfigError` where nothing could ever be obtained. `path` is where the configuration says so. */
export function toUpstreamOAuth(
  shape: UpstreamOauthShape,
  {
    url,
    path,
    toSecret,
  }: { readonly url: string | undefined; readonly path: string; readonly toSecret: (source: SecretShape) => Secret },
): UpstreamOAuthConfig {
  const { issuer, client, secret: own, refresh, scope, resource = url } = shape
  if (url === undefined || resource === undefined)
    throw new ConfigError(`\`${path}\` in the configuration needs \`url\` beside it`)
  if (own === undefined && refresh === undefined)
    throw new ConfigError(`\`${path}\` in the configuration needs \`secret\`, \`refresh\` or both`)
  return {
    issuer,
    client,
    resource,
    ...(own === undefined ? {} : { secret: toSecret(own) }),
    ...(refresh === undefined ? {} : { refresh: toSecret(refresh) }),
    ...(scope === undefined ? {} : { scope }),
  }
}

/** For the client. Reads the secret now, and the refresh token whenever it is used. Throws `ConfigError` when one is missing. */
export function revealOAuth({ secret: own, refresh, ...plain }: UpstreamOAuthConfig): UpstreamOAuth {
  return {
    ...plain,
    ...(own === undefined ? {} : { secret: own.reveal() }),
    ...(refresh === undefined ? {} : { refresh: toPlace(refresh) }),
  }
}

/** A file has the newest one; the environment cannot be written, so that the newest is kept here. */
function toPlace(refresh: Secret): RefreshPlace {
  let newest: string | undefined
  const { source } = refresh
  return {
    read: () => newest ?? refresh.reveal(),
    async write(refreshToken) {
      if ('env' in source) newest = refreshToken
      else writeDurably(source.file, Buffer.from(`${refreshToken}\n`))
      return Promise.resolve()
    },
  }
}
