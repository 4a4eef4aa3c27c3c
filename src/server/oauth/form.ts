/**
 * @module
 * The parameters of a request to an endpoint of OAuth: a form, each parameter at most once (RFC 6749 §3.2).
 */
import { readForm } from '../../core/http-operation.ts'
import { InputError } from '../../index.ts'
import type { ReceivedRequest } from '../../pdp/authenticate.ts'

export interface Form {
  /** The value; undefined when it is absent or empty, which counts as absent. */
  readonly get: (name: string) => string | undefined
  /** The value; throws `InputError` when it is absent. */
  readonly need: (name: string) => string
}

/** Throws `InputError` for another content type, what is not UTF-8, and a parameter that stands there twice. */
export function parseForm({ header, body }: ReceivedRequest): Form {
  const type = [header('content-type') ?? []].flat()
  if (type.length !== 1 || !/^application\/x-www-form-urlencoded(?: *; *charset=utf-8)?$/i.test(type[0] ?? ''))
    throw new InputError('send one form, `application/x-www-form-urlencoded`')
  const pairs = readForm(toText(body))
  const members = new Map(pairs)
  if (members.size !== pairs.length) throw new InputError('a parameter stands in the request twice')
  const get = (name: string): string | undefined => (members.get(name) === '' ? undefined : members.get(name))
  return {
    get,
    need(name) {
      const value = get(name)
      if (value === undefined) throw new InputError(`\`${name}\` is missing`)
      return value
    },
  }
}

function toText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new InputError('the form is not UTF-8')
  }
}
