/**
 * @module
 * `unbearer doctor`: looks for what an operator should know before relying on this installation.
 */
import { access } from 'node:fs/promises'

import type { AvailabilityStatus } from '../config/availability.ts'
import type { Config } from '../config/load.ts'
import { UnavailableError } from '../core/errors.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import type { DecidedMode } from '../core/mode.ts'
import { fromRecord } from '../core/records.ts'
import { toDisplayText } from '../server/display.ts'
import type { Revocation } from '../ports/revocations.ts'
import type { ModeOverview } from '../server/modes.ts'
import { callingOptions, printNotice, toText, toTime, type Answer, type Call, type Command } from './command.ts'
import { toAddress, withControl, type ControlAddress } from './control-client.ts'
import { examineFiles, toBad, toOperatorSymptoms, type Symptom } from './diagnosis.ts'
import { toModeNotes } from './modes.ts'

export const doctorCommand: Command = {
  words: 'doctor',
  usage: '',
  summary: 'find what is wrong with this installation',
  about: [
    'Names what is open, how somebody could still get around each plane, and what is only advisory; compares the declared',
    'deployment with user ids and every file mode; looks at the age of keys and certificates, the disk, the clock, the head',
    'outside, what is kept of people, modes, tools, engines, suspensions and who may administer. Opens the store, or asks the',
    'running server.',
    'Exit code 1 when something must be mended. It does not verify the log: `audit verify` does. From another machine, with',
    '`--server` and no configuration, it sees what the server says and none of its files.',
  ].join('\n'),
  example: 'unbearer doctor --config /etc/unbearer/unbearer.yaml',
  options: callingOptions('keys/operator.jwk'),
  operands: [0, 0],
  run: doctor,
}

async function doctor(call: Call): Promise<Answer> {
  const { loadConfig } = await import('../config/load.ts')
  const address = await toAddress(call, 'operator')
  const isAway = 'server' in address.at && !(await isReadable(call.config))
  const found = isAway ? await askServer(address) : await examineHere(await loadConfig(call.config), address)
  // What keeps the store from being opened is often what the files showed already.
  const symptoms = found.filter(({ what }, i) => found.findIndex((other) => other.what === what) === i)
  const healthy = symptoms.every(({ level }) => level !== 'bad')
  const marks = { good: 'ok  ', note: 'note', bad: 'BAD ' }
  const text = symptoms.map(({ level, what }) => `${marks[level]}  ${toDisplayText(what)}`).join('\n')
  return {
    exit: healthy ? 0 : 1,
    json: { healthy, symptoms: symptoms.map(({ level, what }) => ({ level, what })) },
    text,
  }
}

async function isReadable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function examineHere(config: Config, address: ControlAddress): Promise<readonly Symptom[]> {
  // First, because opening a store of the version before makes what the files are then compared with.
  const state = await examineState(config, address)
  return [...(await examineFiles(config)), ...state]
}

function toUpstreamSymptoms(upstreams: readonly UpstreamMode[]): readonly Symptom[] {
  return upstreams.map(({ name, mode, from }) =>
    mode === 'enforce'
      ? { level: 'good', what: `upstream ${name} enforces (${from})` }
      : {
          level: 'note',
          what: `upstream ${name} only observes (${from}): policy, scope, intent and context block nothing`,
        },
  )
}

interface UpstreamMode extends DecidedMode {
  readonly name: string
}

async function examineState(config: Config, address: ControlAddress): Promise<readonly Symptom[]> {
  try {
    return await examineStore(config)
  } catch (fault) {
    if (!(fault instanceof UnavailableError)) return [toBad(fault)]
  }
  return askServer(address)
}

async function askServer(address: ControlAddress): Promise<readonly Symptom[]> {
  try {
    return await withControl(address, async (client) => {
      const operators = fromRecord<readonly EnrolledKey[]>({
        value: await client.call('key.list', { role: 'operator' }),
      })
      const revoked = fromRecord<readonly Revocation[]>({ value: await client.call('revocation.list', {}) }) ?? []
      const isRevoked = (jkt: string): boolean =>
        revoked.some(({ dimension, id }) => dimension === 'actor' && id === jkt)
      return [...examineStatus(await client.call('status', {})), ...toOperatorSymptoms(operators ?? [], isRevoked)]
    })
  } catch (fault) {
    return [toBad(fault)]
  }
}

/** Nobody else has the store open: look for ourselves. */
async function examineStore(config: Config): Promise<readonly Symptom[]> {
  const { openInstallation } = await import('../config/compose.ts')
  const opened = await openInstallation(config, printNotice)
  try {
    const problems = await opened.store.check()
    const served = [...config.upstreams, ...config.audiences]
    const unscanned = served.filter(({ name }) => opened.manifests.find(name) === undefined)
    return [
      {
        level: 'good',
        what: `the store opens, the log has ${await opened.store.log.size()} entries; no server is running`,
      },
      ...toUpstreamSymptoms(served.map(({ name }) => ({ name, ...opened.modes.look({ upstream: name }) }))),
      ...toModeNotes(await opened.services.modes.list(), Date.now()),
      ...toAvailabilitySymptoms(await examineAvailability(config, opened)),
      ...toOperatorSymptoms(
        await opened.services.keys.list('operator'),
        (jkt) => opened.services.revocations.find('actor', jkt) !== undefined,
      ),
      ...problems.map((what): Symptom => ({ level: 'bad', what: `the store: ${what}` })),
      ...toToolSymptoms(
        opened.manifests.unaccepted(),
        unscanned.map(({ name }) => name),
      ),
    ]
  } finally {
    await opened.close()
  }
}

function examineStatus(status: Json): readonly Symptom[] {
  const { entries = 0, fresh, unaccepted = [], unscanned = [], upstreams, modes } = isJsonObject(status) ? status : {}
  const availability = fromRecord<Partial<AvailabilityStatus>>({ value: status })
  const overview = fromRecord<ModeOverview>({ value: modes ?? null })
  const running: Symptom = { level: 'good', what: `the server is running, the log has ${toText(entries)} entries` }
  const stale: Symptom = { level: 'bad', what: 'a revocation could not be recorded: everything is denied until it is' }
  return [
    running,
    ...(fresh === true ? [] : [stale]),
    ...toUpstreamSymptoms(fromRecord<readonly UpstreamMode[]>({ value: upstreams ?? null }) ?? []),
    ...(overview === undefined ? [] : toModeNotes(overview, Date.now())),
    ...toAvailabilitySymptoms(availability ?? {}),
    ...toToolSymptoms(textsOf(unaccepted), textsOf(unscanned)),
  ]
}

async function examineAvailability(
  config: Config,
  { services, clock }: Awaited<ReturnType<typeof import('../config/compose.ts').openInstallation>>,
): Promise<AvailabilityStatus> {
  const { lookAtSpace, toAvailabilityStatus } = await import('../config/availability.ts')
  return toAvailabilityStatus(services, await lookAtSpace(config), clock.now())
}

function toAvailabilitySymptoms({ suspended, breakGlass, space }: Partial<AvailabilityStatus>): readonly Symptom[] {
  const full: Symptom = {
    level: 'bad',
    what: 'the disk of the store is nearly full: decisions are deferred until there is room',
  }
  return [
    ...(space?.low === true ? [full] : []),
    ...(breakGlass ?? []).map(({ id, grant, expires }): Symptom => ({
      level: 'bad',
      what: `BREAK-GLASS ${id} is open until ${toTime(expires)}, grant ${grant}: \`unbearer revoke grant\` ends it`,
    })),
    ...(suspended ?? []).map(({ name, at }): Symptom => ({
      level: 'bad',
      what: `the agent ${name} is suspended since ${toTime(at)}, it was refused too often: \`unbearer agents restore\``,
    })),
  ]
}

function toToolSymptoms(unaccepted: readonly string[], unscanned: readonly string[]): readonly Symptom[] {
  return [
    ...unaccepted.map((name): Symptom => ({
      level: 'note',
      what: `nobody accepted the tools of ${name}: \`unbearer tools accept\``,
    })),
    ...unscanned.map((name): Symptom => ({
      level: 'note',
      what: `the tools of ${name} are unknown: \`unbearer tools scan\``,
    })),
  ]
}

function textsOf(value: Json): readonly string[] {
  const items: readonly Json[] = Array.isArray(value) ? value : []
  return items.filter((item) => typeof item === 'string')
}
