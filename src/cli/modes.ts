/**
 * @module
 * `unbearer mode observe|enforce|list`: leaving `enforce` is signed, logged and ends by itself; going back needs nothing.
 */
import { randomBytes } from 'node:crypto'

import { parseDuration } from '../config/durations.ts'
import { isEffectKind } from '../core/effect.ts'
import { InputError } from '../core/errors.ts'
import { asJson, type JsonObject } from '../core/json.ts'
import { MAX_OBSERVE_MS, toScope, type ModeAct, type ModeRule, type ModeScope } from '../core/mode.ts'
import { fromRecord } from '../core/records.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { toDisplayText } from '../server/display.ts'
import { signObserve, type ModeOverview } from '../server/modes.ts'
import { callingOptions, toTable, toTime, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress, withControl, type ControlClient } from './control-client.ts'
import { readIssuer } from './read-issuer.ts'

const OPTIONS = callingOptions('keys/operator.jwk')
const SCOPE = [
  { name: 'upstream', value: 'NAME', about: 'only this upstream' },
  { name: 'tool', value: 'NAME', about: 'only this tool of the upstream' },
  { name: 'actor', value: 'NAME', about: 'only this agent, by name or thumbprint' },
]

export const modeCommands: readonly Command[] = [
  {
    words: 'mode observe',
    usage: '[--upstream NAME [--tool NAME]] [--actor NAME] [--effect KIND] [--as-configured] --for 8h --note TEXT',
    summary: 'observe for a time instead of enforcing, signed by you',
    about: [
      'What fits the options is decided and recorded, and is not blocked by intent, scope, context, anomaly or policy, until the',
      'time is over, at most 30 days. The act is signed with your key, logged, and verified each time that it is used: when your',
      'key is revoked it is void. Nothing that the configuration says to enforce is observed, and a request without a proof is',
      'let in only where a whole upstream observes.',
      '`--as-configured` says yes to `mode: observe` in the configuration: it counts only where the configuration says so, and',
      'ends at once when that is changed.',
    ].join('\n'),
    example: "unbearer mode observe --upstream orders --effect read --for 8h --note 'new tool, see ticket 7'",
    options: [
      ...SCOPE,
      { name: 'effect', value: 'KIND', about: 'only what does at most this, for example `read`' },
      { name: 'as-configured', about: 'only where the configuration says `observe`' },
      { name: 'for', value: 'TIME', about: 'how long, for example `8h`; at most `30d`' },
      { name: 'note', value: 'TEXT', about: 'why; it goes into the log' },
      { name: 'issuer', value: 'URL', about: 'for which installation (default: that of the configuration)' },
      ...OPTIONS,
    ],
    operands: [0, 0],
    run: observe,
  },
  {
    words: 'mode enforce',
    usage: '[--upstream NAME [--tool NAME]] [--actor NAME] [--effect KIND] [--note TEXT]',
    summary: 'enforce again, at once',
    about: [
      'Ends every act whose scope lies within the options, and enforces what they name until somebody observes it again, also',
      'where a wider act or the configuration observes. Without options: everything.',
    ].join('\n'),
    example: 'unbearer mode enforce --upstream orders',
    options: [
      ...SCOPE,
      { name: 'effect', value: 'KIND', about: 'only what does at least this, for example `delete`' },
      { name: 'note', value: 'TEXT', about: 'why; it goes into the log' },
      ...OPTIONS,
    ],
    operands: [0, 0],
    run: enforce,
  },
  {
    words: 'mode list',
    usage: '',
    summary: 'list what decides the mode',
    about: [
      'The configuration and the acts of operators. A rule of the configuration that enforces stands above every act; among acts',
      'the newest that fits decides; where the configuration says `observe` and no act does, it is enforced.',
    ].join('\n'),
    example: 'unbearer mode list',
    options: OPTIONS,
    operands: [0, 0],
    run: list,
  },
]

async function observe(call: Call): Promise<Answer> {
  const note = call.need('note')
  const lasts = parseDuration(call.need('for'), '`--for`')
  if (lasts > MAX_OBSERVE_MS) throw usageError('`--for` is at most `30d`')
  const issuer = await readIssuer(call)
  return withControl(await toAddress(call, 'operator'), async (client) => {
    const scope = await readScope(call, client)
    const at = Date.now()
    const configured = call.flag('as-configured') ? { configured: true } : {}
    const said = { id: randomBytes(16).toString('base64url'), at, expires: at + lasts, note, ...scope, ...configured }
    const act = signObserve(client.key, issuer, said)
    const made = await client.call('mode.observe', { act: asJson(act) })
    const text = `observes ${describe(scope)} until ${toTime(at + lasts)}; end it with \`unbearer mode enforce\``
    return { exit: 0, json: made, text }
  })
}

async function enforce(call: Call): Promise<Answer> {
  return withControl(await toAddress(call, 'operator'), async (client) => {
    const scope = await readScope(call, client)
    const note = call.text('note')
    const act: JsonObject = { ...scope, ...(note === undefined ? {} : { note }) }
    const made = await client.call('mode.enforce', { act })
    const { ended = [] } = fromRecord<{ readonly ended?: readonly string[] }>({ value: made }) ?? {}
    return { exit: 0, json: made, text: `enforces ${describe(scope)}; ended ${ended.length} acts` }
  })
}

/** Acts name keys, so that an agent that is enrolled later under the name gains nothing. */
async function readScope(call: Call, client: ControlClient): Promise<ModeScope> {
  const [upstream, tool, actor, effect] = ['upstream', 'tool', 'actor', 'effect'].map((name) => call.text(name))
  if (tool !== undefined && upstream === undefined) throw usageError('`--tool` needs `--upstream` beside it')
  if (effect !== undefined && !isEffectKind(effect)) throw usageError('`--effect` is an effect, for example `read`')
  return toScope({ upstream, tool, effect, actor: actor === undefined ? undefined : await findAgent(client, actor) })
}

async function findAgent(client: ControlClient, given: string): Promise<string> {
  const agents = fromRecord<readonly EnrolledKey[]>({ value: await client.call('key.list', { role: 'agent' }) }) ?? []
  const found = agents.find(({ name }) => name === given) ?? agents.find(({ jkt }) => jkt === given)
  if (found === undefined) throw new InputError(`there is no agent \`${toDisplayText(given)}\``)
  return found.jkt
}

async function list(call: Call): Promise<Answer> {
  const found = await callOnce(await toAddress(call, 'operator'), 'mode.list', {})
  const overview = fromRecord<ModeOverview>({ value: found })
  if (overview === undefined) return { exit: 0, json: found, text: '' }
  const rules = [{ mode: overview.file.mode, place: 'mode' }, ...overview.file.rules].map((rule: ModeRule) => [
    rule.place,
    rule.mode,
    describe(rule),
    overview.unsigned.includes(rule.place) ? 'not signed: enforced' : '',
  ])
  const acts = overview.acts.map((act) => [
    `act ${act.id}`,
    act.mode,
    describe(act),
    act.inForce ? toEnd(act) : 'over or void',
  ])
  return { exit: 0, json: found, text: toTable(['what', 'mode', 'of', ''], [...rules, ...acts]) }
}

function toEnd({ expires, configured }: ModeAct): string {
  const where = configured === true ? 'where the configuration says so, ' : ''
  return expires === undefined ? '' : `${where}until ${toTime(expires)}`
}

function describe(scope: ModeScope): string {
  const parts = Object.entries(toScope(scope)).map(([name, value]) => `${name} ${toDisplayText(String(value))}`)
  return parts.length === 0 ? 'everything' : parts.join(', ')
}

/** From when on the end of an act is told, in milliseconds. */
const SOON_MS = 3 * 86_400_000

/** What people should know about modes before they rely on them. */
export function toModeNotes(
  { file, acts, unsigned }: ModeOverview,
  now: number,
): readonly { readonly level: 'note'; readonly what: string }[] {
  const asked = unsigned.map(
    (place) =>
      `\`${place}\` of the configuration says observe and no operator has signed that: it is enforced; \`unbearer mode observe --as-configured --for 7d --note …\` signs it`,
  )
  const isWished = [file, ...file.rules].some(({ mode }) => mode === 'observe')
  const ending = acts.flatMap(({ id, expires, inForce, configured, ...scope }) => {
    if (!inForce || expires === undefined || (configured === true && !isWished)) return []
    const left = expires - now < SOON_MS ? 'soon, ' : ''
    return [`${describe(scope)} observes by act ${id}; it ends ${left}at ${toTime(expires)}`]
  })
  return [...asked, ...ending].map((what) => ({ level: 'note', what }))
}
