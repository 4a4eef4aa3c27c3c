/**
 * @module
 * The grant behind a decision, for operators: what it holds for this call, which bound stopped it, what is left of budgets.
 */
import { toCeiling } from '../../core/attenuation.ts'
import { satisfies } from '../../core/constraint.ts'
import { isAtMost, toKinds } from '../../core/effect.ts'
import type { Evidence } from '../../core/evidence.ts'
import type { Budget, Grant, Operation } from '../../core/grant.ts'
import type { Json } from '../../core/json.ts'
import { coverBy } from '../../core/operation-cover.ts'
import { parsePointer, valueAt } from '../../core/pointer.ts'
import { budgetRecord } from '../../core/records.ts'
import { toArguments, type AccessRequest } from '../../core/request.ts'
import { shortagesOf } from '../../core/verify/budget.ts'
import { toShown, toShownValue } from './shown.ts'

interface About {
  readonly request: AccessRequest
  readonly evidence: Evidence
}

/** A budget as it stood when this was decided. */
export interface BudgetLine {
  readonly grant: string
  readonly id: string
  /** `budgetRecord` */
  readonly key: string
  readonly per: Budget['per']
  readonly limit: number
  readonly used: number | null
  readonly left: number | null
}

/** What of one grant of the chain matters for this call. */
export interface GrantLine {
  readonly id: string
  readonly expires: number
  /** The operations for this tool, whatever effects they reach. */
  readonly operations: readonly Operation[]
  readonly covers: 'yes' | 'narrowed' | 'operation' | 'argument'
  readonly budgets: readonly BudgetLine[]
}

/** The chain, leaf first; empty where there is none. */
export function toGrantLines({ request, evidence }: About): readonly GrantLine[] {
  return (evidence.grant?.chain ?? []).map((grant) => ({
    id: grant.id,
    expires: grant.expires,
    operations: grant.operations.filter((operation) => isNamed(operation, request)),
    covers: toCovers(grant, { request, evidence }),
    budgets: grant.budgets.map((budget) => toBudgetLine(grant, budget, { request, evidence })),
  }))
}

function toCovers(grant: Grant, { request, evidence }: About): GrantLine['covers'] {
  const { upstream, tool } = request.context
  const cover = coverBy(grant, {
    upstream,
    tool,
    effect: evidence.effect.effect,
    arguments: toArguments(request.action.body),
  })
  if (cover.kind === 'covered') return 'yes'
  if (cover.kind === 'clamped') return 'narrowed'
  return cover.reason === 'scope.operation' ? 'operation' : 'argument'
}

function toBudgetLine(grant: Grant, { id, per, limit }: Budget, { request, evidence }: About): BudgetLine {
  const key = budgetRecord(grant.id, id, per === 'task' ? request.context.txn : undefined)
  const used = evidence.grant?.used[key]
  return { grant: grant.id, id, key, per, limit, used: used ?? null, left: used === undefined ? null : limit - used }
}

function isNamed(operation: Operation, { context }: AccessRequest): boolean {
  return operation.upstream === context.upstream && (operation.tool === '*' || operation.tool === context.tool)
}

/** Which grant stops this call, and by what; `the grant covers it` where none does. */
export function sayUncovered(about: About): string {
  const said = (about.evidence.grant?.chain ?? []).flatMap((grant) => sayGrant(grant, about))
  return said.length === 0 ? 'the grant covers it' : said.join('; ')
}

function sayGrant(grant: Grant, about: About): readonly string[] {
  const covers = toCovers(grant, about)
  if (covers === 'yes') return sayBudgets(grant, about)
  const named = grant.operations.filter((operation) => isNamed(operation, about.request))
  return [covers === 'operation' ? sayOperation(grant, named, about) : sayBounds(grant, named, about)]
}

function sayOperation({ id }: Grant, named: readonly Operation[], { request, evidence }: About): string {
  const tool = toShown(`${request.context.upstream}/${request.context.tool}`)
  const wanted = toKinds(evidence.effect.effect).join(' + ')
  if (named.length === 0) return `grant \`${id}\` names no operation for \`${tool}\``
  return `grant \`${id}\` reaches ${named.map(({ effects }) => effects.join(', ')).join(' or ')} for \`${tool}\`, and the call does ${wanted}`
}

/** Every bound that does not hold, of each operation that could have covered the call. */
function sayBounds({ id }: Grant, named: readonly Operation[], { request, evidence }: About): string {
  const args = toArguments(request.action.body)
  const candidates = named.filter(({ effects }) => {
    const ceiling = toCeiling(effects)
    return ceiling !== undefined && isAtMost(evidence.effect.effect, ceiling)
  })
  const broken = candidates.map((operation) =>
    brokenBounds(operation, args)
      .map((bound) => toBoundText(bound, { request, evidence }))
      .join(' and '),
  )
  return `grant \`${id}\` bounds ${[...new Set(broken)].join(', or ')}`
}

/** One bound of a grant that an argument does not keep. */
export interface BrokenBound {
  readonly pointer: string
  readonly constraint: Operation['where'][string]
  readonly value: Json | undefined
}

export function brokenBounds({ where }: Operation, args: Json): readonly BrokenBound[] {
  return Object.entries(where).flatMap(([pointer, constraint]) => {
    const path = parsePointer(pointer)
    const value = path === undefined ? undefined : valueAt(args, path)
    return satisfies(constraint, value) ? [] : [{ pointer, constraint, value }]
  })
}

function toBoundText({ pointer, constraint, value }: BrokenBound, { evidence }: About): string {
  const given = value === undefined ? 'it is missing' : `it is ${toValueText(value, pointer, evidence)}`
  return `\`${toShown(pointer)}\` by ${toShown(JSON.stringify(constraint))}, and ${given}`
}

/** A value of the arguments by the pointer of a bound. */
function toValueText(value: Json, pointer: string, { provenance }: Evidence): string {
  const path = `/${pointer}`
  const role = provenance.arguments.find((leaf) => leaf.path === path)?.role ?? 'destination'
  return typeof value === 'object' ? toShown(JSON.stringify(value)) : toShownValue(value, path, role)
}

function sayBudgets(grant: Grant, { request, evidence }: About): readonly string[] {
  const short = shortagesOf(request, evidence)
  return grant.budgets.flatMap((budget) => {
    const { key, id, limit, used, per } = toBudgetLine(grant, budget, { request, evidence })
    const shortage = short.find((each) => each.key === key)
    if (shortage === undefined) return []
    const asks = shortage.amount === undefined ? 'an amount that cannot be told' : String(shortage.amount)
    const before = used === null ? 'an unknown amount' : String(used)
    return [
      `budget \`${toShown(id)}\` of grant \`${grant.id}\` is ${limit} per ${per}: ${before} is used and this asks for ${asks}`,
    ]
  })
}
