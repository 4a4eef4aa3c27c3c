/** @module Verifies identity (stub, being filled in). */
import type { Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { AccessRequest } from '../request.ts'

export function verifyIdentity(_request: AccessRequest, _evidence: Evidence): Finding {
  return { stage: 'identity', outcome: 'fail', reason: 'system.indeterminate', facts: {} }
}
