/**
 * @module
 * Claims of an action credential that never was, for whoever judges claims alone.
 */
import type { ActionClaims } from '../../src/index.ts'

/** As if issued at `rev`; members of `more` replace those of an ordinary credential. */
export function toClaims(rev: number, more: Partial<ActionClaims> = {}): ActionClaims {
  return {
    iss: 'https://unbearer-test.invalid',
    aud: 'https://orders.example',
    iat: 1_790_000_000,
    exp: 1_790_000_030,
    jti: 'credential-1',
    txn: 'task-1',
    sub: 'user/alice',
    act: { sub: 'agent' },
    cnf: { jkt: 'agent-key' },
    grant: 'grant-1',
    rev,
    mode: 'enforce',
    authorization_details: [
      {
        type: 'urn:unbearer:action',
        actions: ['GET'],
        locations: ['https://orders.example'],
        identifier: 'orders/read-order',
        digest: 'sha-256:x',
        salt: 'AAAAAAAAAAAAAAAAAAAAAA',
      },
    ],
    tctx: { evaluation_id: 'entry-1', delegated_from: ['grant-0'] },
    rctx: { proof: 'signature' },
    ...more,
  }
}
