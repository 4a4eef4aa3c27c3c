/**
 * @module
 * `unbearer wrong` and `unbearer policy test`: a person says that a decision was wrong or right, and policies are held to it.
 */
import { mkdir, writeFile } from 'node:fs/promises'

import { EXPECTABLE, toCaseMessage, type CaseClaim, type Expected } from '../core/case.ts'
import { ConfigError, InputError } from '../core/errors.ts'
import { asJson, isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { signBytes } from '../crypto/keys.ts'
import type { TestedCase } from '../config/case-tests.ts'
import { toDisplayText } from '../server/display.ts'
import { callingOptions, toMemberText, usageError, type Answer, type Call, type Command } from './command.ts'
import { toAddress, withControl, type ControlClient } from './control-client.ts'

export const wrongCommand: Command = {
  words: 'wrong',
  usage: 'ID --note TEXT [--right] [--expect permit|modify|challenge|deny] [--export FILE]',
  summary: 'record that a decision was wrong (or right), as a case for policy tests',
  about: [
    'Stores a labelled case, signed with your key, as an entry of the log: the request, the facts that the decision read, and',
    'what should have been decided. It changes no decision: mend the grant, the manifest or the policy that `unbearer why` names,',
    'then `unbearer policy test` shows that the case passes, and that it keeps passing. ID as for `unbearer why`.',
    'A refusal that was wrong should have been a permit, a permit that was wrong a denial; `--expect` says otherwise.',
    'What a case holds is evidence of the principal: `unbearer erase subject` reaches it. What you export is a file like any other, in',
    'the clear, which it does not reach.',
  ].join('\n'),
  example: [
    "unbearer wrong 3q2-7wAAAAAAAAAAAAAAAA --note 'the customer asked for this refund'",
    "unbearer wrong 3q2-7wAAAAAAAAAAAAAAAA --right --note 'that was an injection'",
  ].join('\n'),
  options: [
    { name: 'note', value: 'TEXT', about: 'why, for whoever reads the case' },
    { name: 'right', about: 'the decision was right' },
    { name: 'expect', value: 'DECISION', about: 'what should have been decided, in `enforce`' },
    { name: 'export', value: 'FILE', about: 'also write the case here, mode 0600, for `policy test`' },
    ...callingOptions('keys/operator.jwk'),
  ],
  operands: [1, 1],
  run: wrong,
}

export const policyCommands: readonly Command[] = [
  {
    words: 'policy test',
    usage: 'DIR [--grants FILE]',
    summary: 'decide labelled cases again under the policies, manifests and thresholds here',
    about: [
      'Decides every case (`*.json`) of DIR again, in `enforce`, and compares with what it expects. Exit code 1 when one fails.',
      'Policies, manifests and thresholds are those of the configuration, whether a server runs or not; grants are as recorded,',
      'unless `--grants` gives others: a file as `grant create` takes it, or a folder of them, with budgets as if unused.',
      'No store is opened: it runs wherever the configuration is checked out, in a build too. Who signed a manifest is not',
      'verified. What could not be decided again is said beside each case.',
    ].join('\n'),
    example: ['unbearer report --cases ./cases', 'unbearer policy test ./cases --grants ./grants'].join('\n'),
    options: [
      { name: 'grants', value: 'FILE', about: 'a grant, or a folder of grants, in place of the recorded ones' },
    ],
    operands: [1, 1],
    run: policyTest,
  },
]

async function wrong(call: Call): Promise<Answer> {
  const note = call.need('note')
  return withControl(await toAddress(call, 'operator'), async (client) => {
    const explained = await client.call('entry.why', { id: call.operand(0) })
    const claim = toClaim(call, explained, note)
    const signature = signBytes(client.key, toCaseMessage(claim)).toString('base64url')
    const record = await client.call('case.record', { ...asJson(claim), signature })
    const file = call.text('export')
    if (file !== undefined) await writeCase(file, await client.call('case.show', { entry: claim.entry }))
    const text = [
      `recorded as ${claim.label}, expected ${claim.expected}: ${toMemberText(explained, 'sentence')}`,
      ...(isJsonObject(explained) && explained['evidence'] !== 'kept'
        ? ['its evidence is gone or incomplete: the case counts in reports, and cannot be decided again']
        : []),
    ].join('\n')
    return { exit: 0, json: record, text }
  })
}

function toClaim(call: Call, explained: Json, note: string): CaseClaim {
  const entry = isJsonObject(explained) ? explained['entry'] : undefined
  const label = call.flag('right') ? 'right' : 'wrong'
  const asked = call.text('expect')
  const expected = asked === undefined ? toExpected(explained, label) : EXPECTABLE.find((each) => each === asked)
  if (expected === undefined) throw usageError(`\`--expect\` is one of ${EXPECTABLE.join(', ')}`)
  return { entry: toMemberText(entry, 'id'), label, expected, note }
}

/** In `enforce`: right is what was, or would have been, decided; wrong is the other thing. */
function toExpected(explained: Json, label: CaseClaim['label']): Expected | undefined {
  const { entry, enforce } = isJsonObject(explained) ? explained : {}
  const decided = toMemberText(isJsonObject(enforce) ? enforce : entry, 'decision')
  if (label === 'wrong') return decided === 'permit' ? 'deny' : 'permit'
  return EXPECTABLE.find((each) => each === decided) ?? (decided === 'defer' ? 'deny' : undefined)
}

/** Every stored case as a file of its own; answers how many. Those that were erased are left out. */
export async function exportCases(client: ControlClient, dir: string): Promise<number> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const records = await client.call('case.list', {})
  let written = 0
  for (const record of Array.isArray(records) ? records : []) {
    const entry = toMemberText(record, 'entry')
    const found = await findCase(client, entry)
    if (found === undefined || !/^[\w-]+$/.test(entry)) continue
    await writeCase(`${dir}/${toMemberText(record, 'label')}-${entry}.json`, found)
    written += 1
  }
  return written
}

async function findCase(client: ControlClient, entry: string): Promise<Json | undefined> {
  try {
    return await client.call('case.show', { entry })
  } catch (fault) {
    // Erased with its subject since it was listed.
    if (fault instanceof InputError) return undefined
    throw fault
  }
}

async function writeCase(file: string, found: Json): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(found, undefined, 2)}\n`, { mode: 0o600 })
  } catch (cause) {
    throw new ConfigError(`\`${file}\` cannot be written`, { cause })
  }
}

async function policyTest(call: Call): Promise<Answer> {
  const [{ loadConfig }, { testCases }] = await Promise.all([
    import('../config/load.ts'),
    import('../config/case-tests.ts'),
  ])
  const grants = call.text('grants')
  const options = { dir: call.operand(0), ...(grants === undefined ? {} : { grants }) }
  const { policy, cases } = await testCases(await loadConfig(call.config), options)
  const count = (verdict: TestedCase['verdict']): number => cases.filter((each) => each.verdict === verdict).length
  const [passed, failed, skipped] = [count('pass'), count('fail'), count('skip')]
  const text = [...cases.flatMap(toLines), `${passed} passed, ${failed} failed, ${skipped} skipped, under ${policy}`]
  return {
    exit: failed > 0 ? 1 : 0,
    json: { v: 1, policy, passed, failed, skipped, cases: cases.map(toJson) },
    text: text.join('\n'),
  }
}

function toJson({ file, case: tested, verdict, now, changes, policies, unreplayed }: TestedCase): JsonObject {
  const { entry, label, note, expected, was } = tested
  return {
    file,
    entry,
    label,
    note,
    verdict,
    expected,
    was: asJson(was),
    now: now ?? null,
    changes: changes.map(asJson),
    policies: asJson(policies),
    unreplayed,
  }
}

function toLines({ file, case: tested, verdict, now, changes, policies, unreplayed }: TestedCase): readonly string[] {
  const { label, note, expected, was } = tested
  const decided = now === undefined ? '' : `, now ${toWords(now)}`
  return [
    `${verdict.padEnd(4)} ${toDisplayText(file)} (${label}: ${toDisplayText(note)})`,
    `       expected ${expected}, was ${toWords(was)}${decided}`,
    ...changes.map((change) => `       ${change.stage}: ${toDisplayText(change.was)} → ${toDisplayText(change.now)}`),
    ...(policies.was.join() === policies.now.join()
      ? []
      : [`       policy: ${toDisplayText(policies.was.join(', '))} → ${toDisplayText(policies.now.join(', '))}`]),
    ...unreplayed.map((each) => `       not decided again: ${toDisplayText(each)}`),
  ]
}

function toWords({ decision, reason }: { readonly decision: string; readonly reason?: string }): string {
  return toDisplayText(reason === undefined ? decision : `${decision} ${reason}`)
}
