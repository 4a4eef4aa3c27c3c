/**
 * @module
 * Turns what an operator types into the id under which the feed is asked. A mistyped id that is revoked with success would
 * leave somebody believing that an agent was stopped, so what can be looked up is.
 */
import type { RevocationDimension } from '../core/evidence.ts'
import { InputError } from '../core/errors.ts'
import type { Grants } from './grants.ts'
import type { Keys } from './keys.ts'
import type { Tasks } from './tasks.ts'

interface Known {
  readonly keys: Keys
  readonly grants: Grants
  readonly tasks: Tasks
}

const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/

/** The id within the dimension, as in `ports/revocations.ts`. Throws `InputError` when it names nothing. */
export async function toRevocationId(
  known: Known,
  dimension: RevocationDimension,
  id: string | undefined,
): Promise<string> {
  if (dimension === 'all') {
    if (id === undefined || id === '*') return '*'
    throw new InputError('`all` takes no id')
  }
  if (id === undefined) throw new InputError(`say which ${dimension} to revoke`)
  switch (dimension) {
    case 'actor':
      return toThumbprint(known.keys, id)
    case 'subject':
      return id.includes('/') ? id : `user/${id}`
    case 'tool':
      if (/^[^/]+\/.+$/.test(id)) return id
      throw new InputError(`\`${id}\` is not a tool, write UPSTREAM/TOOL`)
    case 'grant':
      return (await known.grants.show(id)).id
    case 'task':
      if ((await known.tasks.find(id)) !== undefined) return id
      throw new InputError(`there is no task \`${id}\``)
    case 'credential':
      return id
  }
}

/** A thumbprint is taken as it is, also when the store is away: the kill switch must not depend on it. */
async function toThumbprint(keys: Keys, given: string): Promise<string> {
  if (THUMBPRINT.test(given)) return given
  const named = (await keys.list()).filter(({ name }) => name === given)
  const chosen = named.find((key) => key.role === 'agent') ?? (named.length === 1 ? named[0] : undefined)
  if (chosen !== undefined) return chosen.jkt
  throw new InputError(
    named.length === 0
      ? `there is no key called \`${given}\``
      : `several keys are called \`${given}\`, give the thumbprint of one`,
  )
}
