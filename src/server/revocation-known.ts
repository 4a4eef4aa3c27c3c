/**
 * @module
 * Whether what was revoked is anything that is known here. A mistyped subject is revoked like any other, and whoever believes
 * that something was stopped should be told that nothing of that name is there.
 */
import type { RevocationDimension, Task } from '../core/evidence.ts'
import type { ServerManifest } from '../core/manifest.ts'
import { ISSUED_PREFIX, TASK_PREFIX } from '../core/records.ts'
import type { Store } from '../ports/store.ts'
import { listAll } from './acts.ts'
import type { Grants } from './grants.ts'

export interface KnownHere {
  readonly store: Store
  readonly grants: Pick<Grants, 'list'>
  readonly manifest: (upstream: string) => ServerManifest | undefined
}

/**
 * False when nothing of this id is known: no grant or task of the subject, no such tool in the manifest of its upstream, no
 * credential that waits to be redeemed. Undefined when that cannot be said. Never throws, and is asked after the revocation is
 * in force: it must not wait for a store.
 */
export async function isKnownHere(
  here: KnownHere,
  dimension: RevocationDimension,
  id: string,
): Promise<boolean | undefined> {
  try {
    if (dimension === 'subject') return await isSubject(here, id)
    if (dimension === 'credential') return await isWaiting(here, id)
    return dimension === 'tool' ? isTool(here, id) : true
  } catch {
    return undefined
  }
}

async function isSubject({ store, grants }: KnownHere, id: string): Promise<boolean> {
  const named = [...(await grants.list()), ...(await listAll<Task>(store, TASK_PREFIX))]
  return named.some(({ principal }) => `${principal.type}/${principal.id}` === id)
}

/** What left this process and was not redeemed. One that is redeemed needs no revocation; what it began is aborted all the same. */
async function isWaiting({ store }: KnownHere, jti: string): Promise<boolean> {
  const waiting = await store.list(ISSUED_PREFIX)
  return waiting.some(({ key }) => key.endsWith(`/${encodeURIComponent(jti)}`))
}

function isTool({ manifest }: KnownHere, id: string): boolean | undefined {
  const slash = id.indexOf('/')
  const tools = manifest(id.slice(0, slash))?.tools
  return tools === undefined ? undefined : Object.hasOwn(tools, id.slice(slash + 1))
}
