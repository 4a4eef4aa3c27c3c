/**
 * @module
 * What an operator wants to know of a grant at a glance: whether it is in force, and whether it names anything that is here.
 */
import type { Grant } from '../core/grant.ts'
import type { ServerManifest } from '../core/manifest.ts'
import type { RevocationFeed } from '../ports/revocations.ts'

/** `revoked` also by a parent, the agent, the principal or the stop of everything; `cut` when a parent is not there. */
export type GrantState = 'valid' | 'early' | 'expired' | 'revoked' | 'cut'

interface Around {
  /** Every grant that is stored. */
  readonly grants: readonly Grant[]
  readonly feed: Pick<RevocationFeed, 'find'>
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** The state of each grant, in their order. For a person to read: the core decides each action anew, and trusts no state. */
export function toGrantStates({ grants, feed, now }: Around): readonly GrantState[] {
  const byId = new Map(grants.map((grant) => [grant.id, grant]))
  return grants.map((grant) => {
    const chain = toChain(byId, grant)
    if (chain.some((link) => isRevoked(feed, link))) return 'revoked'
    if (chain.some(({ expires }) => expires <= now)) return 'expired'
    if (chain.some(({ notBefore }) => now < notBefore)) return 'early'
    return chain.at(-1)?.parent === undefined ? 'valid' : 'cut'
  })
}

/** The grant and its parents as far as they are there; a circle, which nobody can issue, ends where it closes. */
function toChain(byId: ReadonlyMap<string, Grant>, grant: Grant): readonly Grant[] {
  const chain = new Set<Grant>()
  for (let next: Grant | undefined = grant; next !== undefined && !chain.has(next);) {
    chain.add(next)
    next = next.parent === undefined ? undefined : byId.get(next.parent)
  }
  return [...chain]
}

function isRevoked(feed: Pick<RevocationFeed, 'find'>, { id, actor, principal }: Grant): boolean {
  const names = [
    ['all', '*'],
    ['grant', id],
    ['actor', actor],
    ['subject', `${principal.type}/${principal.id}`],
  ] as const
  return names.some(([dimension, name]) => feed.find(dimension, name) !== undefined)
}

/**
 * The tools that a grant names by their whole name and that no manifest knows, as `UPSTREAM/TOOL`. A pattern is not looked up,
 * and what has no manifest yet is not known. To be told and nothing else: a tool may come later.
 */
export function findUnknownTools(
  { operations }: Pick<Grant, 'operations'>,
  manifest: (upstream: string) => ServerManifest | undefined,
): readonly string[] {
  const unknown = operations.filter(
    ({ upstream, tool }) =>
      !`${upstream}${tool}`.includes('*') && !Object.hasOwn(manifest(upstream)?.tools ?? {}, tool),
  )
  return unknown.map(({ upstream, tool }) => `${upstream}/${tool}`)
}
