/**
 * @module
 * `unbearer recover --accept-head`: a person accepts a log that is shorter than or different from the head outside.
 */
import { IntegrityError } from '../core/errors.ts'
import type { KeyPair } from '../crypto/keys.ts'
import type { Voided } from '../server/continuity.ts'
import { assertHead, type Place } from './assert-head.ts'
import { openJudged, type Notice } from './compose.ts'
import type { Config } from './load.ts'
import { assertAcceptable, toHeadFacts, voidIssued, type HeadFacts } from './void-issued.ts'

export interface Recovering {
  readonly operator: KeyPair
  readonly keepBudgets: boolean
  readonly notice: Notice
}

export interface Recovered {
  /** The head outside before; null when there was none that could be read. */
  readonly outside: HeadFacts | null
  readonly found: HeadFacts | null
  /** Where the old head lies now. */
  readonly aside?: string
  readonly voided: Voided
}

/**
 * Accepts the log as it is, under a signed entry with both heads, and voids all that was issued. Undefined when there is
 * nothing to accept. Throws `IntegrityError` when the log does not even fit its own checkpoint, `RefusedError` for a key that
 * is not an operator's, `UnavailableError` while a server runs. Does not bring back what was lost.
 */
export async function acceptHead(config: Config, recovering: Recovering): Promise<Recovered | undefined> {
  const accepted: { recovered?: Recovered } = {}
  const opened = await openJudged(config, recovering.notice, async (place, clock) => {
    if (await isInOrder(place)) return
    await assertAcceptable(place, recovering.operator)
    const outside = readFacts(place)
    const found = toHeadFacts(await place.store.log.checkpoint(), place.vkey)
    // Until the next entry there is no head: should this stop here, the start refuses again.
    const aside = place.head.setAside(`refused-${toStamp(clock.now())}`)
    const detail = { outside, aside: aside ?? null }
    const voided = await voidIssued(place, clock, { ...recovering, why: 'recover', detail })
    accepted.recovered = { outside, found, voided, ...(aside === undefined ? {} : { aside }) }
  })
  await opened.close()
  return accepted.recovered
}

async function isInOrder(place: Place): Promise<boolean> {
  try {
    await assertHead(place)
    return true
  } catch (fault) {
    if (fault instanceof IntegrityError) return false
    throw fault
  }
}

function readFacts({ head, vkey }: Place): HeadFacts | null {
  try {
    return toHeadFacts(head.read(), vkey)
  } catch (fault) {
    if (fault instanceof IntegrityError) return null
    throw fault
  }
}

/** The time as it may stand in the name of a file. */
export function toStamp(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}
