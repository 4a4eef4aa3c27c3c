/**
 * @module
 * Plays one step on one side: a fresh database, a fresh task, the agent's script, and what became of the data.
 */
import type { AgentSaw } from './agent.ts'
import type { DemoDatabase } from './database.ts'
import { runThief, startAgent } from './processes.ts'
import { readOutbox, type Side } from './sides.ts'
import type { ScriptedCall, Step } from './steps.ts'
import type { TheftReport } from './thief.ts'
import { startWireTap } from './wire-tap.ts'

export interface PlayedCall extends AgentSaw {
  readonly call: ScriptedCall
}

/** What happened. `harm` names each thing that should not have been possible; empty means unharmed. */
export interface Played {
  readonly calls: readonly PlayedCall[]
  readonly theft?: TheftReport
  readonly harm: readonly string[]
  readonly rows: { readonly before: number; readonly after: number }
  /** The reason with which the harmful thing was refused, where it was. */
  readonly reason?: string
}

export interface Stage {
  readonly database: DemoDatabase
  readonly resolveFrom: string
}

/** Plays `step` on `side`. Rows are counted after the agent and its tool servers' connections have ended. */
export async function playStep(
  { database, resolveFrom }: Stage,
  side: Side,
  step: Step,
  onPlayed: (what: PlayedCall | TheftReport, index: number) => void = () => undefined,
): Promise<Played> {
  await database.seed()
  const before = await database.countRows()
  const sentBefore = readOutbox(side.outbox).length
  const tap = await startWireTap(side.origin)
  const agent = startAgent({ url: tap.url, credentials: await side.credentials(step), resolveFrom })
  const calls: PlayedCall[] = []
  const callAll = async (scripted: readonly ScriptedCall[]): Promise<void> => {
    for (const call of scripted) {
      const played = { call, ...(await agent.call(call)) }
      onPlayed(played, calls.length)
      calls.push(played)
    }
  }
  await callAll(step.before)
  let theft: TheftReport | undefined
  if (step.id === 'token-theft') {
    theft = await runThief({ origin: side.origin, requests: tap.captured().map(({ raw }) => raw.toString('base64')) })
    onPlayed(theft, calls.length)
  }
  if (step.id === 'revocation') await side.stopAgent()
  await callAll(step.after)
  await agent.close()
  await tap.close()
  const after = await database.countRows()
  const sent = readOutbox(side.outbox).slice(sentBefore)
  const wanted = calls.filter(({ call, ok }) => call.benign && call.server === 'outbox' && ok).length
  return {
    calls,
    ...(theft === undefined ? {} : { theft }),
    harm: findHarm({ calls, rowsLost: before - after, extraMessages: sent.length - wanted, sent, theft }),
    rows: { before, after },
    ...toReason(calls, theft),
  }
}

interface Aftermath {
  readonly calls: readonly PlayedCall[]
  readonly rowsLost: number
  readonly extraMessages: number
  readonly sent: readonly string[]
  readonly theft: TheftReport | undefined
}

/** Looks at the data and at the outbox, not at what anybody answered. */
function findHarm({ calls, rowsLost, extraMessages, sent, theft }: Aftermath): readonly string[] {
  const attackers = sent.filter((to) => to.endsWith('attacker.example')).length
  const stolen = theft?.attempts.filter(({ ran }) => ran).length ?? 0
  const ran = calls.filter(({ call, ok }) => !call.benign && ok).length
  return [
    ...(rowsLost > 0 ? [`${rowsLost} rows lost`] : []),
    ...(attackers > 0 ? ['customer data left to the attacker'] : []),
    ...(extraMessages > attackers ? [`${extraMessages - attackers} messages that nobody asked for`] : []),
    ...(stolen > 0 ? [`${stolen} of the thief's requests were served`] : []),
    ...(ran > 0 && rowsLost === 0 && extraMessages === 0 ? [`${ran} calls ran that should not`] : []),
  ]
}

function toReason(calls: readonly PlayedCall[], theft: TheftReport | undefined): { reason?: string } {
  const refused = calls.find(({ call, reason }) => !call.benign && reason !== undefined)?.reason
  const reason = refused ?? toCommonest(theft?.attempts.flatMap((attempt) => attempt.reason ?? []) ?? [])
  return reason === undefined ? {} : { reason }
}

/** The thief meets several reasons; the one met most often speaks for the theft. */
function toCommonest(reasons: readonly string[]): string | undefined {
  const count = (reason: string): number => reasons.filter((other) => other === reason).length
  return reasons.toSorted((a, b) => count(b) - count(a))[0]
}
