/**
 * @module
 * `unbearer grant create|list|show`.
 */
import type { Grant } from '../core/grant.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { fromRecord } from '../core/records.ts'
import { toDisplay, toDisplayText } from '../server/display.ts'
import type { GrantState } from '../server/grant-state.ts'
import { callingOptions, toMemberText, toTable, toTime, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'
import { readYaml } from './read-yaml.ts'

const OPTIONS = callingOptions('keys/operator.jwk')

export const grantCommands: readonly Command[] = [
  {
    words: 'grant create',
    usage: '-f FILE.yaml',
    summary: 'issue a grant of a principal to an agent',
    about: [
      'A grant says what one agent may do for one principal: tools, the gravest effects, bounds of arguments, budgets, time.',
      'It lives a day unless `expires` says otherwise, at most 90 days. A grant with a `parent` must be contained in it.',
      'It is never more than a bound: policy decides each action within it.',
    ].join('\n'),
    example: [
      "unbearer grant create -f - <<'EOF'",
      'principal: alice',
      'actor: support-agent',
      'expires: 8h',
      'operations:',
      '  - { tool: orders/query, effects: [read] }',
      '  - { tool: outbox/send, effects: [send], where: { to: { in: [alice@example.com] } } }',
      'budgets: [{ id: mails, limit: 3, per: task, effects: [send] }]',
      'EOF',
    ].join('\n'),
    options: [
      { name: 'file', short: 'f', value: 'FILE.yaml', about: 'the grant; `-` reads standard input' },
      ...OPTIONS,
    ],
    operands: [0, 0],
    run: create,
  },
  {
    words: 'grant list',
    usage: '',
    summary: 'list the grants',
    about:
      'All grants that were issued, with the state of each: valid, early, expired, revoked (by itself or by what is above it), cut.',
    example: 'unbearer grant list',
    options: OPTIONS,
    operands: [0, 0],
    run: list,
  },
  {
    words: 'grant show',
    usage: 'ID',
    summary: 'show one grant',
    about: 'The whole grant as it is stored: operations with their bounds, budgets, times, parent and who issued it.',
    example: 'unbearer grant show 3q2-7wAAAAAAAAAAAAAAAA',
    options: OPTIONS,
    operands: [1, 1],
    run: show,
  },
]

type Listed = Grant & { readonly state: GrantState }

async function create(call: Call): Promise<Answer> {
  const grant = await readYaml(call.need('file'))
  const created = await callOnce(await toAddress(call, 'operator'), 'grant.create', { grant })
  const expires = isJsonObject(created) ? created['expires'] : undefined
  const until = typeof expires === 'number' ? toTime(expires) : ''
  const text = `issued grant ${toMemberText(created, 'id')}, valid until ${until}`
  return { exit: 0, json: created, text: [text, ...toWarning(created)].join('\n') }
}

/** A tool that no manifest knows is no fault: it may come later. Mostly it is mistyped. */
function toWarning(created: Json): readonly string[] {
  const unknown = isJsonObject(created) ? created['unknown'] : undefined
  if (!Array.isArray(unknown)) return []
  return [`no manifest knows ${toDisplayText(unknown.join(', '))}: the grant is of no use for it until one does`]
}

async function list(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'operator'), 'grant.list', {})
  const grants = fromRecord<readonly Listed[]>({ value: found }) ?? []
  const rows = grants.map(({ id, principal, actor, operations, issuedBy, expires, state }) => [
    id,
    toDisplayText(`${principal.type}/${principal.id}`),
    `${actor.slice(0, 12)}…`,
    toDisplayText(operations.map(({ upstream, tool }) => `${upstream}/${tool}`).join(', ')),
    issuedBy.role,
    state,
    toTime(expires),
  ])
  const text =
    rows.length === 0
      ? 'no grants yet'
      : toTable(['id', 'principal', 'actor', 'operations', 'by', 'state', 'until'], rows)
  return { exit: 0, json: found, text }
}

async function show(call: Call): Promise<Answer> {
  const grant = await callOnce(await toAddress(call, 'operator'), 'grant.show', { id: call.operand(0) })
  return { exit: 0, json: grant, text: toDisplay(grant) }
}
