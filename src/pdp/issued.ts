/**
 * @module
 * Action credentials that leave the process, in the store: registered by the commit of their decision, taken out by their one
 * redemption. A credential that is not registered is worth nothing to whoever redeems here, also under the issuer's own key.
 */
import type { ActionClaims } from '../core/credential.ts'
import { asJson, type JsonObject } from '../core/json.ts'
import { fromRecord, ISSUED_PREFIX, issuedRecord } from '../core/records.ts'
import type { Store, Write } from '../ports/store.ts'
import type { LogUnit } from './log-entries.ts'

/** What is kept of a credential until it is redeemed; nothing of it authorises anything. */
interface Issued {
  readonly aud: string
  /** Seconds since the epoch. */
  readonly exp: number
  /** The decision entry. */
  readonly entry: string
}

type Named = Pick<ActionClaims, 'iat' | 'jti' | 'aud' | 'exp'>

/** The clock of whoever verifies may be behind by this much. */
const SKEW_SECONDS = 5
/** How many that were never redeemed one issue sweeps away, so that they cannot pile up faster than they go. */
const SWEEP = 16

/** One audience is one burn domain (design §5). */
export function toBurnDomain(aud: string): string {
  return `jti/${encodeURIComponent(aud)}`
}

/** Goes into the unit of the decision. */
export function toIssuedWrite(claims: Named & Pick<ActionClaims, 'tctx'>): Write {
  const { aud, exp, tctx } = claims
  const issued: Issued = { aud, exp, entry: tctx.evaluation_id }
  return { key: issuedRecord(claims.iat, claims.jti), value: asJson(issued) }
}

/** True while it is registered for this audience and was not redeemed. Does not verify it and does not look at the time. */
export async function isRegistered(store: Store, claims: Named): Promise<boolean> {
  return (await readIssued(store, claims)) !== undefined
}

/**
 * Burns it in the domain of its audience and takes it out of the register, in one unit; true for the first caller only, after
 * the disk has it. False for what was never registered or not for this audience. Rejects when the store is away.
 * `log` goes into the same unit. Verifies nothing: signature, time, key, digest and revocation come before, and revocation
 * once more after.
 */
export async function redeemIssued(store: Store, claims: Named, log: Partial<LogUnit> = {}): Promise<boolean> {
  const found = await readIssued(store, claims)
  if (found === undefined) return false
  const { key, version } = found
  const result = await store.commit({
    reads: { [key]: version },
    writes: [{ key }],
    burns: [{ domain: toBurnDomain(claims.aud), id: claims.jti, expires: (claims.exp + SKEW_SECONDS) * 1000 }],
    ...log,
  })
  if (result.status !== 'applied') return false
  await result.durable
  return true
}

async function readIssued(store: Store, claims: Named): Promise<{ key: string; version: number } | undefined> {
  const key = issuedRecord(claims.iat, claims.jti)
  const [record] = await store.get([key])
  const issued = fromRecord<Issued>(record)
  if (record === undefined || issued?.aud !== claims.aud || issued.exp !== claims.exp) return undefined
  return { key, version: record.version }
}

/** The oldest that can be redeemed no more, taken out. `now` is in milliseconds. Rejects when the store is away. */
export async function sweepIssued(store: Store, now: number): Promise<void> {
  const oldest = await store.list(ISSUED_PREFIX, { limit: SWEEP })
  const over = oldest.filter(
    (record) => (fromRecord<Issued & JsonObject>(record)?.exp ?? 0) + SKEW_SECONDS < now / 1000,
  )
  if (over.length > 0) await store.commit({ writes: over.map(({ key }) => ({ key })) })
}
