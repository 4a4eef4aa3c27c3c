/**
 * @module
 * What clients and resource servers read first: authorization server metadata (RFC 8414), protected resource metadata
 * (RFC 9728) and the issuer's keys (RFC 7517). All of it is public.
 */
import { ACTION_DETAIL } from '../../core/credential.ts'
import { DPOP_ALGORITHMS } from '../../crypto/dpop.ts'
import type { JsonObject } from '../../index.ts'

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

/** RFC 8414 §2, with the members of RFC 9396 §10 and 9449 §5.1. `origin` is where the endpoints are, without a slash. */
export function toServerMetadata(issuer: string, origin: string): JsonObject {
  return {
    issuer,
    token_endpoint: `${origin}/token`,
    introspection_endpoint: `${origin}/introspect`,
    revocation_endpoint: `${origin}/revoke`,
    // Ours: RFC 8414 leaves room for more.
    redemption_endpoint: `${origin}/redeem`,
    jwks_uri: `${origin}/jwks.json`,
    response_types_supported: [],
    grant_types_supported: [EXCHANGE],
    // The key of an agent is its proof of possession, not a secret of a client.
    token_endpoint_auth_methods_supported: ['none'],
    authorization_details_types_supported: [ACTION_DETAIL],
    dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS],
  }
}

/** RFC 9728 §2, for a resource that takes action credentials of this issuer. */
export function toResourceMetadata(resource: string, issuer: string): JsonObject {
  return {
    resource,
    authorization_servers: [issuer],
    // A credential alone opens nothing (RFC 6750 §2 is not offered).
    bearer_methods_supported: [],
    authorization_details_types_supported: [ACTION_DETAIL],
    dpop_bound_access_tokens_required: true,
    dpop_signing_alg_values_supported: [...DPOP_ALGORITHMS],
  }
}
