/**
 * @module
 * What of the introductions of clients and servers goes on where nobody accepted them: words and switches, no text.
 */
import { isJsonObject, type JsonObject } from '../../index.ts'

/** One word of a bounded length: names, versions. */
const PLAIN = /^[\w.:/@+-]{1,64}$/u
export const SERVER_CAPABILITIES: readonly string[] = ['tools', 'resources', 'prompts', 'logging', 'completions']
const FLAGS: readonly string[] = ['listChanged', 'subscribe']

/** The word; undefined where it is not one. */
export function toPlain(value: JsonObject[string]): string | undefined {
  return typeof value === 'string' && PLAIN.test(value) ? value : undefined
}

/** Known capabilities with their known switches. */
export function toFlags(value: JsonObject[string], known: readonly string[]): JsonObject {
  const given = isJsonObject(value) ? value : {}
  const found = known.filter((name) => isJsonObject(given[name]))
  return Object.fromEntries(
    found.map((name) => {
      const own = given[name]
      const flags = FLAGS.filter((flag) => isJsonObject(own) && typeof own[flag] === 'boolean')
      return [name, Object.fromEntries(flags.map((flag) => [flag, isJsonObject(own) && own[flag] === true]))]
    }),
  )
}

/** The name and version of a client or server; `unnamed` and `0` where they are not words. */
export function toImplementation(value: JsonObject[string]): JsonObject {
  const { name, version } = isJsonObject(value) ? value : {}
  return { name: toPlain(name) ?? 'unnamed', version: toPlain(version) ?? '0' }
}
