/**
 * @module
 * The approvals of a report: asked, given, denied, expired, and the time from asked to answered.
 */
import type { Approval } from '../core/evidence.ts'
import { APPROVAL_PREFIX, fromRecord } from '../core/records.ts'
import type { Store } from '../ports/store.ts'
import { createTimes } from './tally.ts'

/** How approvals ended, and how long people took. */
export interface ApprovalCounts {
  asked: number
  given: number
  denied: number
  expired: number
  open: number
  dwellMs: { readonly median: number; readonly p95: number } | null
}

/** From the records of approvals: from asked to answered. An approval that was given and never used counts as given. */
export async function countApprovals(
  store: Store,
  { since, now }: { readonly since: number; readonly now: number },
): Promise<ApprovalCounts> {
  const counts: ApprovalCounts = { asked: 0, given: 0, denied: 0, expired: 0, open: 0, dwellMs: null }
  const times = createTimes()
  for (let after: string | undefined; ;) {
    const page = await store.list(APPROVAL_PREFIX, after === undefined ? {} : { after })
    for (const record of page) {
      const approval = fromRecord<Approval>(record)
      if (approval === undefined || !(approval.createdAt >= since)) continue
      countApproval(counts, approval, now)
      if (approval.answered !== undefined) times.add(approval.answered.at - approval.createdAt)
    }
    after = page.at(-1)?.key
    if (after === undefined) break
  }
  const [median, p95] = [times.quantile(0.5), times.quantile(0.95)]
  return { ...counts, dwellMs: median === undefined || p95 === undefined ? null : { median, p95 } }
}

function countApproval(counts: ApprovalCounts, { status, expires }: Approval, now: number): void {
  counts.asked += 1
  if (status === 'denied') counts.denied += 1
  else if (status === 'approved' || status === 'consumed') counts.given += 1
  else if (status === 'expired' || expires <= now) counts.expired += 1
  else counts.open += 1
}
