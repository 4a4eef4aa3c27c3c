/**
 * @module
 * Revocations as PEPs elsewhere get them, and the canary that all of them have to refuse, the one in this process too.
 */
import type { RevocationDimension, Task } from '../core/evidence.ts'
import type { IssuerKeys } from '../crypto/issuer-keys.ts'
import { newId } from '../pdp/log-entries.ts'
import type { Pdp } from '../pdp/pdp.ts'
import type { Telemetry } from '../pdp/telemetry.ts'
import type { Clock } from '../ports/clock.ts'
import type { RevocationFeed } from '../ports/revocations.ts'
import type { ControlOptions } from '../server/control.ts'
import { createPublisher, type Publisher } from '../server/feed/publisher.ts'
import type { Revocations } from '../server/revocations.ts'

export interface FeedParts {
  readonly issuer: string
  readonly keys: IssuerKeys
  readonly revocations: Revocations
  readonly clock: Clock
  readonly pdp: Pick<Pdp, 'canary'>
  readonly telemetry: Telemetry
}

export interface Feed {
  readonly publisher: Publisher
  readonly canary: ControlOptions['canary']
}

/** Nothing is begun in a task any more of which one of these is revoked. */
export function isTaskStopped(feed: Pick<RevocationFeed, 'find'>, { txn, principal, grant, actor }: Task): boolean {
  const named: readonly (readonly [RevocationDimension, string | undefined])[] = [
    ['all', '*'],
    ['task', txn],
    ['subject', `${principal.type}/${principal.id}`],
    ['grant', grant],
    ['actor', actor],
  ]
  return named.some(([dimension, id]) => id !== undefined && feed.find(dimension, id) !== undefined)
}

/** What the PEP of this process is called. */
const HERE = 'gateway'

export function createFeed({ pdp, telemetry, ...options }: FeedParts): Feed {
  const publisher = createPublisher({ ...options, newId })
  telemetry.gauge('unbearer_revocation_subscribers', () => publisher.size())
  return {
    publisher,
    async canary(dimension, id, waitMs) {
      const credential = pdp.canary.issue(dimension, id)
      const elsewhere = credential === undefined ? undefined : publisher.canaries.ask(credential, waitMs)
      const isRefused = await pdp.canary.isRefused(dimension, id)
      const { peps, silent } = (await elsewhere) ?? { peps: [], silent: [] }
      return { peps: [HERE, ...peps], silent: [...(isRefused ? [] : [HERE]), ...silent] }
    },
  }
}
