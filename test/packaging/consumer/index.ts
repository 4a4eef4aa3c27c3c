// What somebody who installs the package may write. Compiled against the packed declarations, with every strict switch.
import {
  InputError,
  isGrantContained,
  parseGrant,
  REASONS,
  UnbearerError,
  type AccessRequest,
  type Decision,
  type Enforced,
  type Engine,
  type Json,
  type Pep,
  type Reason,
  type Store,
} from 'unbearer'
import { createSigningFetch, openTask, type ClientKey, type Fetch } from 'unbearer/client'
import { engineContract, storeContract, type StoreHarness } from 'unbearer/testing'

export function toHelp(reason: Reason): string {
  return REASONS[reason].help
}

export function toWords(decision: Decision): string {
  switch (decision.kind) {
    case 'permit':
      return 'done'
    case 'modify':
    case 'challenge':
    case 'defer':
    case 'deny':
      return decision.reason
  }
}

export function toSigning(key: ClientKey, url: string, txn: string): Fetch {
  return createSigningFetch({ key, url, txn })
}

/** An adapter of one's own: everything that it needs is public. */
export async function guard(pep: Pep, request: AccessRequest, work: () => Promise<Json>): Promise<Enforced> {
  return pep.enforce(request, async ({ body, redeem }) => {
    const redemption = await redeem(body)
    if (!redemption.ok) throw new InputError('not redeemed', redemption.reason)
    return { output: await work() }
  })
}

/** A store and an engine of one's own run the suites that ours run. */
export function suites(harness: StoreHarness): readonly unknown[] {
  return [storeContract, engineContract, harness, isGrantContained, parseGrant, openTask]
}

export type Mine = { readonly store: Store; readonly engine: Engine; readonly fault: UnbearerError }
