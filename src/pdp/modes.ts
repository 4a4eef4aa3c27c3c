/**
 * @module
 * The modes as they stand: what the file says, and the acts of operators, each verified again whenever it is used. An act
 * that is not signed by an operator's key that may still act is as if it had never been.
 */
import type { EnrolledKey } from '../core/evidence.ts'
import { isInForce, resolveMode, toModeMessage } from '../core/mode.ts'
import type { DecidedMode, ModeAct, ModeFacts, ModeFile } from '../core/mode.ts'
import { fromRecord, keyRecord, MODE_ACTS_RECORD } from '../core/records.ts'
import { importKey, verifyBytes } from '../crypto/keys.ts'
import type { Clock } from '../ports/clock.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import type { Store, StoredRecord } from '../ports/store.ts'

export interface ModesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly feed: RevocationFeed
  readonly issuer: string
  readonly file: () => ModeFile
  /** Whether the policies of operators let this key observe. Asked again when acts, keys or policies have changed. */
  readonly mayObserve: (key: EnrolledKey) => boolean
  /** Changes with the policies of operators. */
  readonly policyVersion: () => string
}

export interface Modes {
  /** What the file says. */
  readonly file: ModeFile
  /** The mode of an action, at `now`, by the acts as they are stored. `version` belongs among what the decision has read. */
  decide(facts: ModeFacts, now: number): Promise<DecidedMode & { readonly key: string; readonly version: number }>
  /** The same at once, by the acts as they were last read here: for lists, the listener, and people. */
  look(facts: ModeFacts): DecidedMode
  /** Reads the acts again. `look` knows them from then on. */
  load(): Promise<void>
  /** Those that count now, oldest first. */
  inForce(): readonly ModeAct[]
}

/** Loads the acts. Rejects when the store cannot be read. */
export async function createModes(options: ModesOptions): Promise<Modes> {
  let version = 0
  let seen = ''
  let signed: readonly ModeAct[] = []
  const load = async (): Promise<void> => {
    const [record] = await options.store.get([MODE_ACTS_RECORD])
    const acts = fromRecord<readonly ModeAct[]>(record) ?? []
    const keys = acts.length === 0 ? [] : await options.store.get(acts.map(({ by }) => keyRecord(by)))
    // Versions never come back, so that what was verified under them once need not be verified again.
    const versions = [record, ...keys].map((read) => read?.version ?? 0)
    const now = [options.policyVersion(), ...versions].join(' ')
    if (now === seen) return
    signed = verifyActs(options, acts, keys)
    version = versions[0] ?? 0
    seen = now
  }
  const standing = (): readonly ModeAct[] => signed.filter((act) => mayStillAct(options.feed, act))
  await load()
  return {
    get file() {
      return options.file()
    },
    load,
    async decide(facts, now) {
      await load()
      return { ...resolveMode(options.file(), standing(), facts, now), key: MODE_ACTS_RECORD, version }
    },
    look: (facts) => resolveMode(options.file(), standing(), facts, options.clock.now()),
    inForce: () => standing().filter((act) => isInForce(act, options.clock.now())),
  }
}

/** What a revoked operator signed is void from the revocation on; that they had enforced stays. */
function mayStillAct(feed: RevocationFeed, { mode, by }: ModeAct): boolean {
  return mode === 'enforce' || feed.find('actor', by) === undefined
}

function verifyActs(
  { issuer, mayObserve }: ModesOptions,
  acts: readonly ModeAct[],
  keys: readonly (StoredRecord | undefined)[],
): readonly ModeAct[] {
  return acts.filter((act, index) => {
    const key = fromRecord<EnrolledKey>(keys[index])
    return act.mode === 'enforce' || (key !== undefined && isSigned(act, key, issuer) && mayObserve(key))
  })
}

/** True when an operator's key signed the act for this installation. A signature that cannot even be looked at is none. */
export function isSigned(act: ModeAct, key: EnrolledKey, issuer: string): boolean {
  if (key.role !== 'operator' || key.jkt !== act.by || act.signature === undefined) return false
  try {
    const { signature, ...said } = act
    return verifyBytes(importKey({ ...key.jwk }), toModeMessage(said, issuer), Buffer.from(signature, 'base64url'))
  } catch {
    return false
  }
}
