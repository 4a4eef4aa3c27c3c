/** @module Verifies intent (stub, being filled in). */
import type { Evidence } from '../evidence.ts'
import type { Finding } from '../finding.ts'
import type { AccessRequest } from '../request.ts'

export function verifyIntent(_request: AccessRequest, _evidence: Evidence): Finding {
  return { stage: 'intent', outcome: 'fail', reason: 'system.indeterminate', facts: {} }
}
