/**
 * @module
 * Proposals about grants: the line that is missing, the bound that is too narrow, the budget that is used up.
 */
import { toKinds, type EffectKind } from '../../core/effect.ts'
import type { Constraint, Grant, Operation } from '../../core/grant.ts'
import type { Json } from '../../core/json.ts'
import { coverBy } from '../../core/operation-cover.ts'
import { parsePointer, valueAt } from '../../core/pointer.ts'
import { budgetRecord } from '../../core/records.ts'
import { toArguments } from '../../core/request.ts'
import { shortagesOf } from '../../core/verify/budget.ts'
import { brokenBounds, type BrokenBound } from './grant.ts'
import type { Facts, Propose, Situation } from './proposal.ts'
import { toQuoted, toShown, toShownValue } from './shown.ts'

const DAY = 86_400_000

/** No grant, or none that is for this: one that holds exactly this call. */
export const proposeGrant: Propose = (situation, reason) => {
  const { request } = situation
  const operation = toOperation(situation)
  const who = toQuoted(request.subject.id)
  return [
    {
      kind: 'grant',
      for: [reason],
      what: `a grant of ${toShown(`${request.subject.type}/${request.subject.id}`)} to this agent that holds this call (\`unbearer grant create -f\`), and a task opened under it`,
      how: [
        ...(request.subject.type === 'user'
          ? [`principal: ${who}`]
          : [`principal: { type: ${toQuoted(request.subject.type)}, id: ${who} }`]),
        `actor: ${toQuoted(request.actor.id)}`,
        'operations:',
        `  - ${toOperationText(operation, situation)}`,
      ].join('\n'),
      apply: (facts) => withGrant(facts, operation),
    },
  ]
}

/** The grant names the tool with lesser effects, or not at all: the line that it lacks. */
export const proposeOperation: Propose = (situation, reason) => {
  const operation = toOperation(situation)
  const lacking = (situation.evidence.grant?.chain ?? []).filter(
    (grant) => coverOf(grant, situation) === 'scope.operation',
  )
  return [
    {
      kind: 'grant',
      for: [reason],
      what: `${toGrantNames(lacking)} with this line among its operations`,
      how: `- ${toOperationText(operation, situation)}`,
      apply: (facts) => withOperation(facts, operation),
    },
  ]
}

/** A bound of the grant is not kept: the bound as it would have to be. */
export const proposeBound: Propose = (situation, reason) => {
  const found = (situation.evidence.grant?.chain ?? []).flatMap((grant) => toWidenings(grant, situation))
  const missing = found.flatMap(({ broken }) => broken.filter(({ value }) => value === undefined))
  if (missing.length > 0) {
    const names = [...new Set(missing.map(({ pointer }) => `\`${toShown(pointer)}\``))].join(', ')
    return [{ kind: 'call', for: [reason], what: `a call that gives ${names}, which the grant bounds`, how: names }]
  }
  return [
    {
      kind: 'grant',
      for: [reason],
      what: `${toGrantNames(found.map(({ grant }) => grant))} with a wider bound, if the principal wants that`,
      how: found.map((widening) => toWideningText(widening, situation)).join('; '),
      apply: (facts) => withWidenings(facts, found),
    },
  ]
}

export const proposeBudget: Propose = ({ request, evidence }, reason) => {
  const short = shortagesOf(request, evidence)
  const chain = evidence.grant?.chain ?? []
  const raised = new Map(
    short.map(({ key, amount }) => [key, (evidence.grant?.used[key] ?? 0) + (amount ?? Number.NaN)] as const),
  )
  const keyOf = (grant: Grant, { id, per }: Grant['budgets'][number]): string =>
    budgetRecord(grant.id, id, per === 'task' ? request.context.txn : undefined)
  const lines = chain.flatMap((grant) =>
    grant.budgets.flatMap((budget) => {
      const limit = raised.get(keyOf(grant, budget))
      return limit === undefined || Number.isNaN(limit)
        ? []
        : [
            `budgets: [{ id: ${toShown(budget.id)}, limit: ${limit}, per: ${budget.per} }] or more, in a new grant beside \`${grant.id}\``,
          ]
    }),
  )
  if (lines.length === 0) return []
  return [
    {
      kind: 'grant',
      for: [reason],
      what: 'a grant whose budget bears this action, or the next task where the budget is per task',
      how: lines.join('; '),
      apply: (facts) =>
        mapChain(facts, (grant) => ({
          ...grant,
          budgets: grant.budgets.map((budget) => ({
            ...budget,
            limit: raised.get(keyOf(grant, budget)) ?? budget.limit,
          })),
        })),
    },
  ]
}

export const proposeTime: Propose = (situation, reason) => [
  {
    kind: 'grant',
    for: [reason],
    what: 'a new grant with the same operations that is valid now',
    how: `unbearer grant show ${situation.evidence.grant?.chain[0]?.id ?? 'ID'}, then unbearer grant create -f with \`expires\` after now`,
    apply: (facts) =>
      mapChain(facts, (grant) => ({ ...grant, notBefore: facts.evidence.now - 1, expires: facts.evidence.now + DAY })),
  },
]

/** The least operation that holds this call: values that decide are bounded to what they are, content is not. */
function toOperation({ request, evidence }: Facts): Operation {
  const args = toArguments(request.action.body)
  const bounded = evidence.provenance.arguments.flatMap(({ path, role }): [string, Constraint][] => {
    if (role === 'content' || role === 'command' || role === 'credential') return []
    const pointer = path.slice(1)
    const parts = path === '' ? undefined : parsePointer(pointer)
    const value = parts === undefined ? undefined : valueAt(args, parts)
    if (typeof value === 'number' && role === 'amount') return [[pointer, { range: { max: value } }]]
    return value === undefined || value === null || typeof value === 'object' ? [] : [[pointer, { in: [value] }]]
  })
  const { upstream, tool } = request.context
  return { upstream, tool, effects: toGranted(toKinds(evidence.effect.effect)), where: Object.fromEntries(bounded) }
}

/** `read` is held by whatever stands beside it. */
function toGranted(kinds: readonly EffectKind[]): readonly EffectKind[] {
  const beyond = kinds.filter((kind) => kind !== 'read')
  return beyond.length === 0 ? kinds : beyond
}

function toOperationText({ upstream, tool, effects, where }: Operation, facts: Facts): string {
  const bounds = Object.entries(where).map(
    ([pointer, constraint]) => `${toKey(pointer)}: ${toConstraintText(constraint, pointer, facts)}`,
  )
  const within = bounds.length === 0 ? '' : `, where: { ${bounds.join(', ')} }`
  return `{ tool: ${toShown(`${upstream}/${tool}`)}, effects: [${effects.join(', ')}]${within} }`
}

function toKey(pointer: string): string {
  return /^[A-Za-z_][\w-]*$/.test(pointer) ? pointer : `"${toShown(pointer)}"`
}

function toConstraintText(constraint: Constraint, pointer: string, { evidence }: Facts): string {
  if (!('in' in constraint)) return toShown(JSON.stringify(constraint))
  const path = `/${pointer}`
  const role = evidence.provenance.arguments.find((leaf) => leaf.path === path)?.role ?? 'destination'
  const texts = constraint.in.map((value) =>
    value === null || typeof value === 'object' ? toShown(JSON.stringify(value)) : toShownValue(value, path, role),
  )
  return `{ in: [${texts.join(', ')}] }`
}

type Reach = 'covered' | 'scope.operation' | 'scope.argument'

function coverOf(grant: Grant, { request, evidence }: Facts): Reach {
  const { upstream, tool } = request.context
  const asked = { upstream, tool, effect: evidence.effect.effect, arguments: toArguments(request.action.body) }
  const cover = coverBy(grant, asked)
  return cover.kind === 'none' ? cover.reason : 'covered'
}

interface Widening {
  readonly grant: Grant
  /** Index of the operation within its grant. */
  readonly at: number
  readonly broken: readonly BrokenBound[]
}

/** Of the operations that could hold the call, the one with the fewest broken bounds. */
function toWidenings(grant: Grant, situation: Situation): readonly Widening[] {
  if (coverOf(grant, situation) !== 'scope.argument') return []
  const args = toArguments(situation.request.action.body)
  const candidates = grant.operations
    .map((operation, at) => ({ grant, at, operation, broken: brokenBounds(operation, args) }))
    .filter(({ operation }) => coverOf({ ...grant, operations: [operation] }, situation) === 'scope.argument')
    .toSorted((a, b) => a.broken.length - b.broken.length)
  return candidates.slice(0, 1).map(({ at, broken }) => ({ grant, at, broken }))
}

function toWideningText({ grant, at, broken }: Widening, facts: Facts): string {
  const bounds = broken.map(
    ({ pointer, constraint, value }) =>
      `${toKey(pointer)}: ${toConstraintText(widen(constraint, value ?? null), pointer, facts)}`,
  )
  return `grant ${grant.id}, operations[${at}].where: { ${bounds.join(', ')} }`
}

function widen(constraint: Constraint, value: Json): Constraint {
  if ('in' in constraint) return { in: [...constraint.in, value] }
  if (!('range' in constraint) || typeof value !== 'number') return { in: [value] }
  const { min, max } = constraint.range
  return {
    range: {
      ...constraint.range,
      ...(min === undefined ? {} : { min: Math.min(min, value) }),
      ...(max === undefined ? {} : { max: Math.max(max, value) }),
    },
  }
}

function withWidenings(facts: Facts, widenings: readonly Widening[]): Facts {
  return mapChain(facts, (grant) => {
    const widening = widenings.find((each) => each.grant.id === grant.id)
    if (widening === undefined) return grant
    const wider = Object.fromEntries(
      widening.broken.map(({ pointer, constraint, value }) => [pointer, widen(constraint, value ?? null)]),
    )
    return {
      ...grant,
      operations: grant.operations.map((operation, at) =>
        at === widening.at ? { ...operation, where: { ...operation.where, ...wider } } : operation,
      ),
    }
  })
}

function withOperation(facts: Facts, operation: Operation): Facts {
  return mapChain(facts, (grant) => ({ ...grant, operations: [...grant.operations, operation] }))
}

function mapChain(facts: Facts, change: (grant: Grant) => Grant): Facts {
  const { grant } = facts.evidence
  if (grant === undefined) return facts
  return { ...facts, evidence: { ...facts.evidence, grant: { ...grant, chain: grant.chain.map(change) } } }
}

/** A grant that nobody issued, with this one operation, and the task under it. */
function withGrant({ request, evidence }: Facts, operation: Operation): Facts {
  const { subject, actor } = request
  const { jkt } = actor
  const { task, now } = evidence
  if (jkt === undefined || task === undefined) return { request, evidence }
  const grant: Grant = {
    id: 'what-if',
    principal: { type: subject.type, id: subject.id },
    actor: jkt,
    issuedBy: { role: 'operator', jkt: 'what-if' },
    notBefore: now - 1,
    expires: now + DAY,
    operations: [operation],
    budgets: [],
    depth: 0,
  }
  return {
    request,
    evidence: {
      ...evidence,
      identity: { ...evidence.identity, assurance: 'granted' },
      task: { ...task, grant: grant.id },
      grant: { chain: [grant], used: {} },
    },
  }
}

function toGrantNames(grants: readonly Grant[]): string {
  const names = grants.map(({ id }) => `\`${id}\``)
  return names.length > 1
    ? `new grants in place of ${names.join(' and its parent ')}`
    : `a new grant in place of ${names[0] ?? 'this one'}`
}
