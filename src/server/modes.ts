/**
 * @module
 * Acts of operators about modes: to observe is signed, expires and is logged; to enforce needs no signature and stays until
 * an operator observes again (design §2).
 */
import { isEffectKind } from '../core/effect.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { InputError, RefusedError } from '../core/errors.ts'
import { fail, readObject, readText, type Field, type Fields } from '../core/grant-fields.ts'
import { asJson, type Json } from '../core/json.ts'
import {
  isInForce,
  findUnsigned,
  isScopeWithin,
  MAX_OBSERVE_MS,
  toModeMessage,
  toScope,
  type ModeAct,
  type ModeFile,
  type ModeScope,
} from '../core/mode.ts'
import { MODE_ACTS_RECORD } from '../core/records.ts'
import { isSigned, type Modes } from '../pdp/modes.ts'
import { signBytes, type KeyPair } from '../crypto/keys.ts'
import { perform, readOne, type ServiceOptions } from './acts.ts'
import type { Keys } from './keys.ts'

export interface ModeActs {
  /**
   * Records that an operator observes. Throws `RefusedError` when the act is not signed by `by` for this installation,
   * `InputError` when it has no end, one too far away, or would change nothing because the file enforces there.
   */
  observe(value: Json, by: EnrolledKey): Promise<ModeAct>
  /** Records that an operator enforces; ends every act whose scope lies within. Throws `InputError`. */
  enforce(value: Json, by: EnrolledKey): Promise<{ readonly act: ModeAct; readonly ended: readonly string[] }>
  /** What the file says, every act that is kept, oldest first, and where the file says `observe` without an act. */
  list(): Promise<ModeOverview>
}

export interface ModeOverview {
  readonly file: ModeFile
  /** `inForce` is false for an act that has expired, or that nobody signed who may still sign. */
  readonly acts: readonly (ModeAct & { readonly inForce: boolean })[]
  /** Places of the file that say `observe` and are enforced. */
  readonly unsigned: readonly string[]
}

export interface ModeActsOptions extends ServiceOptions {
  readonly issuer: string
  readonly keys: Keys
  /** Reads each act again before it is answered. */
  readonly modes: Modes
}

/** So that reading them costs nothing: whoever needs more scopes writes them in the file. */
const MAX_ACTS = 200
const ID = /^[\w-]{22}$/
const SCOPE = ['upstream', 'tool', 'actor', 'effect'] as const

export function createModeActs(options: ModeActsOptions): ModeActs {
  return {
    observe: async (value, by) => observe(options, value, by),
    enforce: async (value, by) => enforce(options, value, by),
    list: async () => list(options),
  }
}

async function list({ store, keys, modes }: ModeActsOptions): Promise<ModeOverview> {
  await modes.load()
  const acts = (await readOne<readonly ModeAct[]>(store, MODE_ACTS_RECORD)) ?? []
  const inForce = modes.inForce()
  const agents = await keys.list('agent')
  // An act names the key; the file may name the agent.
  const toKey = (actor: string): string => agents.find(({ name }) => name === actor)?.jkt ?? actor
  const rules = modes.file.rules.map((rule) =>
    rule.actor === undefined ? rule : { ...rule, actor: toKey(rule.actor) },
  )
  return {
    file: modes.file,
    acts: acts.map((act) => ({ ...act, inForce: inForce.some(({ id }) => id === act.id) })),
    unsigned: findUnsigned({ ...modes.file, rules }, inForce),
  }
}

/** An act to observe, signed by an operator on their own machine. Does not look up whether the key is enrolled. */
export function signObserve(
  key: KeyPair,
  issuer: string,
  said: Omit<ModeAct, 'mode' | 'by' | 'signature'> & { readonly expires: number },
): ModeAct {
  const act: ModeAct = { ...said, mode: 'observe', by: key.jkt }
  return { ...act, signature: signBytes(key, toModeMessage(act, issuer)).toString('base64url') }
}

async function observe(options: ModeActsOptions, value: Json, by: EnrolledKey): Promise<ModeAct> {
  const now = options.clock.now()
  const act = parseObserve(value, by)
  if (!isSigned(act, by, options.issuer))
    throw new RefusedError('identity.bad-proof', 'the act is not signed by this operator for this installation')
  if (!isInForce(act, now))
    throw new InputError(
      `an act to observe ends at most ${MAX_OBSERVE_MS / 86_400_000} days after it was signed, and is signed now`,
    )
  refuseIdle(options.modes.file, act)
  const made = await perform(options, async (read) => {
    const kept = await readKept(read, now)
    if (kept.some(({ id }) => id === act.id)) throw new InputError('this act was recorded before')
    if (kept.length >= MAX_ACTS)
      throw new InputError('too many acts are in force; end some with `unbearer mode enforce`')
    return toAct('mode.observe', act, [...kept, act])
  })
  await options.modes.load()
  return made
}

async function enforce(
  options: ModeActsOptions,
  value: Json,
  by: EnrolledKey,
): Promise<{ readonly act: ModeAct; readonly ended: readonly string[] }> {
  const now = options.clock.now()
  const fields = readObject({ path: 'act', value }, [...SCOPE, 'note'])
  const note = fields.has('note') ? { note: readText(fields.need('note')) } : {}
  const act: ModeAct = { id: options.newId(), mode: 'enforce', by: by.jkt, at: now, ...readScope(fields), ...note }
  const ended = await perform(options, async (read) => {
    const kept = await readKept(read, now)
    const over = kept.filter((each) => isScopeWithin(each, act))
    const stays = kept.filter((each) => !over.includes(each))
    return { ...toAct('mode.enforce', act, [...stays, act]), result: over.map(({ id }) => id) }
  })
  await options.modes.load()
  return { act, ended }
}

function toAct(name: string, act: ModeAct, acts: readonly ModeAct[]) {
  const writes = [{ key: MODE_ACTS_RECORD, value: acts.map(asJson) }]
  return { result: act, writes, act: name, by: act.by, subject: 'system', detail: asJson(act) }
}

/** What has expired is in the log; to keep it here as well would only make every decision read it. */
async function readKept(read: <T>(key: string) => Promise<T | undefined>, now: number): Promise<readonly ModeAct[]> {
  const acts = (await read<readonly ModeAct[]>(MODE_ACTS_RECORD)) ?? []
  return acts.filter(({ mode, expires }) => mode === 'enforce' || (expires !== undefined && now < expires))
}

function parseObserve(value: Json, by: EnrolledKey): ModeAct {
  const known = ['id', 'mode', 'by', 'at', 'expires', 'configured', 'note', 'signature', ...SCOPE]
  const fields = readObject({ path: 'act', value }, known)
  const id = readText(fields.need('id'))
  if (!ID.test(id)) fail(fields.at('id'), 'must be 16 random bytes, base64url')
  if (fields.need('by').value !== by.jkt) throw new RefusedError('identity.bad-proof', 'the act is of another operator')
  if (fields.need('mode').value !== 'observe') fail(fields.at('mode'), 'must be `observe`')
  return {
    id,
    mode: 'observe',
    by: by.jkt,
    at: readTime(fields.need('at')),
    expires: readTime(fields.need('expires')),
    ...(fields.has('configured') ? { configured: readTrue(fields.need('configured')) } : {}),
    note: readText(fields.need('note')),
    signature: readText(fields.need('signature')),
    ...readScope(fields),
  }
}

function readScope(fields: Fields): ModeScope {
  const read = (name: string): string | undefined => (fields.has(name) ? readText(fields.need(name)) : undefined)
  const [upstream, tool, actor, effect] = SCOPE.map(read)
  if (tool !== undefined && upstream === undefined) fail(fields.at('tool'), 'needs an upstream beside it')
  if (effect !== undefined && !isEffectKind(effect))
    return fail(fields.at('effect'), 'must be an effect of the lattice')
  return {
    ...(upstream === undefined ? {} : { upstream }),
    ...(tool === undefined ? {} : { tool }),
    ...(actor === undefined ? {} : { actor }),
    ...(effect === undefined ? {} : { effect }),
  }
}

function readTime(field: Field): number {
  const { value } = field
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : fail(field, 'must be milliseconds')
}

function readTrue(field: Field): true {
  return field.value === true ? true : fail(field, 'must be `true` or absent')
}

/** Somebody who believes that they observe would look for the reason elsewhere. */
function refuseIdle(file: ModeFile, act: ModeAct): void {
  const floor = file.rules.find((rule) => rule.mode === 'enforce' && isScopeWithin(act, toScope(rule)))
  if (floor === undefined) return
  throw new InputError(`\`${floor.place}\` of the configuration enforces there, whoever signs; change it first`)
}
