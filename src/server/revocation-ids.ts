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

const NORMALISE: Readonly<Record<RevocationDimension, (id: string, known: Known) => string | Promise<string>>> = {
  all: () => '*',
  actor: async (id, { keys }) => toThumbprint(keys, id),
  subject: (id) => (id.includes('/') ? id : `user/${id}`),
  tool: (id) => (/^[^/]+\/.+$/.test(id) ? id : refuse(`\`${id}\` is not a tool, write UPSTREAM/TOOL`)),
  grant: async (id, { grants }) => (await grants.show(id)).id,
  task: async (id, { tasks }) => (await tasks.find(id))?.txn ?? refuse(`there is no task \`${id}\``),
  credential: (id) => id,
}

/** The id within the dimension, as in `ports/revocations.ts`. Throws `InputError` when it names nothing. */
export async function toRevocationId(
  known: Known,
  dimension: RevocationDimension,
  id: string | undefined,
): Promise<string> {
  if (dimension === 'all' && id !== undefined && id !== '*') refuse('`all` takes no id')
  if (dimension !== 'all' && id === undefined) refuse(`say which ${dimension} to revoke`)
  return NORMALISE[dimension](id ?? '*', known)
}

function refuse(message: string): never {
  throw new InputError(message)
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
