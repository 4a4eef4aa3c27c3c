/**
 * @module
 * A ceiling: what a grant may hold at most that no operator looks at, because a principal asked for it. An operator writes it
 * once; every such grant is provably contained in it or is refused (invariant 8).
 */
import { isGrantContained } from './attenuation.ts'
import { InputError } from './errors.ts'
import type { Grant } from './grant.ts'
import { fail, readArray, readObject, type Field } from './grant-fields.ts'
import { isJsonObject, type Json, type JsonObject } from './json.ts'
import { GRANT_TTL_MS, parseGrant, type ParseGrantOptions } from './parse-grant.ts'

export interface GrantCeiling {
  /** As written: what a grant holds that says nothing of its own. */
  readonly operations: Json
  readonly budgets: readonly Json[]
  /** The longest life of such a grant, in milliseconds. */
  readonly ttl: number
  /** The same as a grant, for nobody: contains what is within. */
  readonly grant: Grant
}

const NOBODY = 'ceiling'

/**
 * Parses a ceiling: `operations`, and optionally `budgets`, `expires` (a duration, a day by default) and `depth`. Throws
 * `InputError`. Does not look whether upstreams and tools exist.
 */
export function parseCeiling(value: JsonObject): GrantCeiling {
  const fields = readObject({ path: 'ceiling', value }, ['operations', 'budgets', 'expires', 'depth'])
  const issuedBy = { role: 'operator', jkt: NOBODY } as const
  const options = { id: NOBODY, now: 0, resolveActor: () => NOBODY, issuedBy }
  const grant = parseGrant({ ...value, principal: NOBODY, actor: NOBODY }, options)
  const budgets = fields.has('budgets') ? readArray(fields.need('budgets'), 0).map((each) => each.value) : []
  return { operations: fields.need('operations').value, budgets, ttl: grant.expires, grant }
}

const ASKED = ['principal', 'actor', 'operations', 'budgets', 'expires', 'notBefore', 'depth']

/**
 * The grant that is asked for, within the ceiling. What it leaves out it takes from the ceiling, and the budgets of the ceiling
 * always stand beside its own. Throws `InputError` for a grant that is not provably contained, or that names another principal.
 * Does not say that the principal asked for it: whoever calls it has verified that.
 */
export function parseWithin(
  ceiling: GrantCeiling,
  asked: Json,
  principal: Grant['principal'],
  options: ParseGrantOptions,
): Grant {
  const field: Field = { path: 'grant', value: asked }
  const fields = readObject(field, ASKED)
  if (fields.has('principal') && !isPrincipal(fields.need('principal').value, principal))
    fail(fields.need('principal'), 'is not who asks for this grant, leave it out')
  const own = fields.has('budgets') ? readArray(fields.need('budgets'), 0).map((each) => each.value) : []
  const grant = parseGrant(
    {
      operations: ceiling.operations,
      expires: `${Math.max(1, Math.floor(Math.min(ceiling.ttl, GRANT_TTL_MS) / 1000))}s`,
      ...(isJsonObject(asked) ? asked : {}),
      budgets: [...own, ...ceiling.budgets.filter((each) => !own.some((other) => isOfId(other, each)))],
      principal: { ...principal },
    },
    options,
  )
  const { now } = options
  const bound: Grant = {
    ...ceiling.grant,
    principal,
    notBefore: now,
    expires: now + ceiling.ttl,
    // A child is one less deep than its parent; the ceiling says how deep the grant itself may be.
    depth: ceiling.grant.depth + 1,
  }
  if (isGrantContained(grant, bound)) return grant
  throw new InputError(
    'the grant is not provably within what an operator allows here; narrow its operations, arguments, budgets, times or depth',
    'scope.operation',
  )
}

function isPrincipal(said: Json, { type, id }: Grant['principal']): boolean {
  if (isJsonObject(said)) return said['type'] === type && said['id'] === id
  return said === (type === 'user' ? id : `${type}/${id}`)
}

function isOfId(own: Json, other: Json): boolean {
  return isJsonObject(own) && isJsonObject(other) && own['id'] === other['id']
}
