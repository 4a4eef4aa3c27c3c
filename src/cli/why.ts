/**
 * @module
 * `unbearer why ID`: what was decided and why, in words, and what would have let it pass. For operators.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { toDisplayText } from '../server/display.ts'
import { callingOptions, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress } from './control-client.ts'

export const whyCommand: Command = {
  words: 'why',
  usage: 'ID',
  summary: 'explain a decision: findings, provenance, what would have let it pass',
  about: [
    'ID is the id of the entry that a refusal shows, or a ticket; at least 8 characters of it, if no other id starts so.',
    'Without one at hand, `unbearer audit tail --refused` lists what was refused, each with its ID.',
    'Tells what was decided in one sentence, what each of the five stages found, where every argument came from, the effect,',
    'the grant, the policies by id and text, which mode decided, and what would have let it pass: each remedy was decided',
    'again with the facts that it would give, and says what would have come out. Never "turn it off".',
    'Values are escaped and credentials elided. Evidence that was erased or has expired is gone; the rest is told.',
    'What is told here is for operators: an agent that could read it would learn how to phrase the next attempt.',
  ].join('\n'),
  example: ['unbearer why 3q2-7wAAAAAAAAAAAAAAAA', "unbearer why 3q2-7wAA --json | jq -r '.remedies[].how'"].join('\n'),
  options: callingOptions('keys/operator.jwk'),
  operands: [1, 1],
  run: why,
}

async function why(call: Call): Promise<Answer> {
  const explanation = await callOnce(await toAddress(call, 'operator'), 'entry.why', { id: call.operand(0) })
  return { exit: 0, json: explanation, text: toText(toObject(explanation)) }
}

function toText(explanation: JsonObject): string {
  const { entry, sentence, evidence } = explanation
  return [
    text(sentence),
    '',
    `entry    ${member(entry, 'id')} (index ${member(entry, 'index')}), policy ${member(entry, 'policy')}`,
    ...toOutcome(explanation['outcome']),
    ...(evidence === 'gone' ? ['evidence gone: erased, or past its retention'] : []),
    ...toAsked(explanation),
    ...section('findings', list(explanation['findings']).map(toFinding)),
    ...section('arguments', list(explanation['arguments']).flatMap(toArgument)),
    ...section('grant', list(explanation['grant']).flatMap(toGrant), evidence === 'kept' ? 'none' : undefined),
    ...section('policies', list(explanation['policies']).flatMap(toPolicy)),
    ...section('what would have let it pass', toRemedies(explanation)),
    ...section('what could not be decided again', list(explanation['unreplayed']).map(text)),
  ].join('\n')
}

function toOutcome(outcome: Json | undefined): readonly string[] {
  if (!isJsonObject(outcome)) return []
  const reason = outcome['reason'] === undefined ? '' : `, ${text(outcome['reason'])}`
  return [`outcome  ${text(outcome['outcome'])}${reason}`]
}

function toAsked(explanation: JsonObject): readonly string[] {
  const { effect, mode, approval, ticket, intent, purpose, task } = explanation
  return [
    ...(intent === undefined ? [] : [`intent   ${intent === null ? 'none' : text(intent)}`]),
    ...(purpose === undefined
      ? []
      : [`purpose  ${purpose === null ? 'none: nobody attested what this task is for' : text(purpose)}`]),
    ...(task === undefined ? [] : [`task     ${text(task)}`]),
    ...(isJsonObject(effect) ? [`effect   ${toEffect(effect)}`] : []),
    ...(isJsonObject(mode) ? [`mode     ${text(mode['said'])}`] : []),
    ...(isJsonObject(approval) ? [`approval ${toApproval(approval)}`] : []),
    ...(isJsonObject(ticket) ? [`ticket   ${text(ticket['id'])}, ${text(ticket['status'])}`] : []),
  ]
}

function toEffect(effect: JsonObject): string {
  const destinations = list(effect['destinations']).map(text).join(', ')
  return [
    list(effect['kinds']).map(text).join(' + '),
    effect['reversible'] === true ? 'can be undone' : 'cannot be undone',
    effect['bounded'] === true ? 'bounded' : 'not bounded',
    `touches ${or(list(effect['objects']).map(text).join(', '), 'nothing by name')}`,
    ...(destinations === '' ? [] : [`goes to ${destinations}`]),
    `because ${list(effect['why']).map(text).join(', ')}`,
  ].join('; ')
}

function toApproval(approval: JsonObject): string {
  const by = approval['by'] === undefined ? '' : ` by ${text(approval['by'])}`
  return `${text(approval['id'])}, ${text(approval['status'])}${by}${approval['counts'] === true ? ', counted' : ''}`
}

const MARKS: Readonly<Record<string, string>> = { pass: '✓', concern: '!', fail: '✗', insufficient: '?' }

function toFinding(finding: Json): string {
  const reason = member(finding, 'reason')
  const mark = MARKS[member(finding, 'outcome')] ?? '✗'
  return `${mark} ${member(finding, 'stage').padEnd(8)} ${member(finding, 'outcome')}${reason === '' ? '' : ` ${reason}`}: ${member(finding, 'said')}`
}

function toArgument(argument: Json): readonly string[] {
  return [
    `${or(member(argument, 'path'), '(the rest)')} = ${member(argument, 'value')}`,
    `    ${member(argument, 'role')}; ${member(argument, 'said')}`,
  ]
}

function toGrant(grant: Json): readonly string[] {
  const { operations, budgets } = toObject(grant)
  const named = list(operations).map((operation) => {
    const { effects, where } = toObject(operation)
    return `    ${member(operation, 'upstream')}/${member(operation, 'tool')}: ${list(effects).map(text).join(', ')}; where ${text(JSON.stringify(where))}`
  })
  const left = list(budgets).map(
    (budget) =>
      `    budget ${member(budget, 'id')}: ${or(member(budget, 'used'), '?')} of ${member(budget, 'limit')} per ${member(budget, 'per')} used, ${or(member(budget, 'left'), '?')} left`,
  )
  return [`${member(grant, 'id')}: ${COVERS[member(grant, 'covers')] ?? ''}`, ...named, ...left]
}

const COVERS: Readonly<Record<string, string>> = {
  yes: 'covers this call',
  narrowed: 'covers a narrower call',
  operation: 'has no operation for this call',
  argument: 'has an operation for this call, but not with these arguments',
}

function toPolicy(line: Json): readonly string[] {
  const { policies, current } = toObject(line)
  const now =
    current === true
      ? ''
      : current === false
        ? '; THE POLICIES HAVE CHANGED SINCE'
        : '; that engine is asked elsewhere, or not configured any more'
  const [id, fault] = [member(line, 'decisionId'), member(line, 'fault')]
  return [
    `${member(line, 'engine')}: ${member(line, 'outcome')}, ${member(line, 'said')}${now}`,
    ...(fault === '' ? [] : [`    fault: ${fault}`]),
    ...(id === '' ? [] : [`    in its own log as ${id}`]),
    ...list(policies).flatMap((policy) => {
      const said = lines(toObject(policy)['text'])
      return (said.length === 0 ? [`@id("${member(policy, 'id')}")`] : said).map((each) => `    ${each}`)
    }),
  ]
}

function toRemedies(explanation: JsonObject): readonly string[] {
  const { together } = explanation
  const each = list(explanation['remedies']).flatMap((remedy, index) => [
    `${index + 1}. ${member(remedy, 'kind')}: ${member(remedy, 'what')}`,
    ...lines(toObject(remedy)['how']).map((line) => `       ${line}`),
    ...toThen(toObject(remedy)['gives']),
  ])
  if (!isJsonObject(together)) return each
  const numbers = list(together['of']).map((index) => (typeof index === 'number' ? String(index + 1) : ''))
  return [...each, `together (${numbers.join(' and ')}): ${toThenText(together)}`]
}

function toThen(then: Json | undefined): readonly string[] {
  return isJsonObject(then) ? [`       → ${toThenText(then)}`] : []
}

function toThenText(then: JsonObject): string {
  const reason = text(then['reason'])
  return `would then be: ${text(then['decision'])}${reason === '' ? '' : ` (${reason})`}`
}

function section(title: string, said: readonly string[], empty?: string): readonly string[] {
  if (said.length === 0 && empty === undefined) return []
  return ['', title, ...(said.length === 0 ? [empty ?? ''] : said).map((line) => `  ${line}`)]
}

function toObject(value: Json | undefined): JsonObject {
  return isJsonObject(value) ? value : {}
}

function list(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? value : []
}

function member(value: Json | undefined, name: string): string {
  return text(toObject(value)[name])
}

/** Escapes what is not plain, and not the backslash of what was escaped where it was made. */
function text(value: Json | undefined): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return typeof value === 'string' ? value.split('\\').map(toDisplayText).join('\\') : ''
}

/** The same of a text of several lines. */
function lines(value: Json | undefined): readonly string[] {
  return typeof value === 'string' ? value.split('\n').map(text) : []
}

function or(said: string, otherwise: string): string {
  return said === '' ? otherwise : said
}
