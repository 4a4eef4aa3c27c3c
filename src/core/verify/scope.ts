/**
 * @module
 * Scope: was this granted? Every grant of the chain has to be in time, to be for this principal and actor, and to cover
 * the operation with its arguments and budgets. Design §4, invariant 8.
 */
import { isGrantContained } from '../attenuation.ts'
import { isConsequential } from '../effect.ts'
import type { Evidence } from '../evidence.ts'
import type { Finding, FindingAgainst } from '../finding.ts'
import type { Grant, GrantFacts } from '../grant.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { coverBy, type Cover } from '../operation-cover.ts'
import type { Reason } from '../reasons.ts'
import { type AccessRequest, type ActionBody, toArguments } from '../request.ts'
import { isOverdrawn } from './budget.ts'

export { debitsOf } from './budget.ts'

/**
 * Judges the tool and the grant. One finding: `pass`; `fail`; `insufficient scope.no-grant` for a plain read without any
 * grant (policy and `decide` have a say in that); or `concern scope.clamped` with the narrower action as `rewrite`, when
 * the only thing against it is a number above a range that says `clamp`. A number is only ever clamped down: raising one
 * would do more than was asked.
 * Does not look at revocation, at policy, or at whether the grant's issuer may issue it.
 */
export function verifyScope(request: AccessRequest, evidence: Evidence): Finding {
  const facts = toFacts(evidence.grant)
  const against = askTool(evidence) ?? askGrant(request, evidence)
  if (against === undefined) return { stage: 'scope', outcome: 'pass', facts }
  return { stage: 'scope', facts, ...against }
}

type Against = Pick<FindingAgainst, 'outcome' | 'reason' | 'rewrite'>

const fail = (reason: Reason): Against => ({ outcome: 'fail', reason })

function toFacts(grant: GrantFacts | undefined): JsonObject {
  const [leaf, ...ancestors] = grant?.chain ?? []
  return leaf === undefined ? { granted: false } : { granted: true, grant: leaf.id, ancestors: ancestors.length }
}

function askTool({ tool }: Evidence): Against | undefined {
  if (tool.status === 'changed') return fail('scope.tool-changed')
  return tool.status === 'accepted' ? undefined : fail('scope.unknown-tool')
}

function askGrant(request: AccessRequest, evidence: Evidence): Against | undefined {
  const { grant, effect, now, task } = evidence
  if (grant === undefined || grant.chain.length === 0) {
    // A task that was opened under a grant never gets more by the loss of it.
    if (task?.grant !== undefined) return fail('scope.no-grant')
    return { outcome: isConsequential(effect.effect) ? 'fail' : 'insufficient', reason: 'scope.no-grant' }
  }
  if (!isChainFor(request, grant.chain, task?.grant)) return fail('scope.no-grant')
  if (!grant.chain.every((each) => isInTime(each, now))) return fail('scope.grant-expired')
  return askOperation(request, evidence, grant.chain)
}

/**
 * The leaf is the grant of this task, for this actor; every grant is the principal's; every link names and narrows its
 * parent; the last one has none. Compared again although it was compared at issue: the store is not an authority.
 */
function isChainFor({ subject, actor }: AccessRequest, chain: readonly Grant[], named: string | undefined): boolean {
  const [leaf] = chain
  if (leaf === undefined || actor.jkt === undefined || leaf.actor !== actor.jkt) return false
  if (named !== undefined && leaf.id !== named) return false
  const isPrincipals = chain.every(({ principal }) => principal.type === subject.type && principal.id === subject.id)
  return isPrincipals && chain.every((grant, index) => isLinked(grant, chain[index + 1]))
}

function isLinked(grant: Grant, parent: Grant | undefined): boolean {
  if (parent === undefined) return grant.parent === undefined
  return grant.parent === parent.id && isGrantContained(grant, parent)
}

/** Written so that a time that is not a number is not in time. */
function isInTime({ notBefore, expires }: Grant, now: number): boolean {
  return now >= notBefore && now < expires
}

function askOperation(request: AccessRequest, evidence: Evidence, chain: readonly Grant[]): Against | undefined {
  const { body } = request.action
  const cover = coverAll(chain, request, evidence)
  if (cover.kind === 'none') return fail(cover.reason)
  if (cover.kind === 'clamped')
    return { outcome: 'concern', reason: 'scope.clamped', rewrite: withArguments(body, cover.arguments) }
  return isOverdrawn(request, evidence) ? fail('scope.budget') : undefined
}

/** Narrows the arguments grant by grant; what comes out has to be covered by every grant as it is. */
function coverAll(chain: readonly Grant[], { context, action }: AccessRequest, { effect }: Evidence): Cover {
  const original = toArguments(action.body)
  const asked = { upstream: context.upstream, tool: context.tool, effect: effect.effect }
  let narrowed = original
  for (const grant of chain) {
    const cover = coverBy(grant, { ...asked, arguments: narrowed })
    if (cover.kind === 'none') return cover
    if (cover.kind === 'clamped') narrowed = cover.arguments
  }
  if (narrowed === original) return { kind: 'covered' }
  const isCovered = chain.every((grant) => coverBy(grant, { ...asked, arguments: narrowed }).kind === 'covered')
  return isCovered ? { kind: 'clamped', arguments: narrowed } : { kind: 'none', reason: 'scope.argument' }
}

/** The inverse of `toArguments`. */
function withArguments(body: ActionBody, narrowed: JsonObject): ActionBody {
  return isJsonObject(body['arguments']) ? { ...body, arguments: narrowed } : { ...body, ...narrowed }
}
