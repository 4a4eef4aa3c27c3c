/**
 * @module
 * Secrets are never written in the configuration, only where to find them: `{ env: NAME }` or `{ file: PATH }`.
 * A `Secret` can be printed or serialised without giving anything away; only `reveal` reads the value.
 */
import { readFileSync } from 'node:fs'

import { ConfigError } from '../core/errors.ts'

export type SecretSource = { readonly env: string } | { readonly file: string }

export interface Secret {
  /** Where the value comes from; a file's path is absolute. */
  readonly source: SecretSource
  /**
   * Reads the value now, without the line end of a file. Throws `ConfigError` when it is missing or empty, naming the
   * place and never the value. Does not promise that two calls give the same: the file may be replaced in between.
   */
  readonly reveal: () => string
}

/** The process environment or a substitute. */
export type Environment = Readonly<Record<string, string | undefined>>

/** A secret that is read when it is needed; nothing is read here. */
export function createSecret(source: SecretSource, env: Environment): Secret {
  return { source, reveal: () => ('env' in source ? fromEnvironment(source.env, env) : fromFile(source.file)) }
}

function fromEnvironment(name: string, env: Environment): string {
  const value = Object.hasOwn(env, name) ? env[name] : undefined
  if (value !== undefined && value !== '') return value
  throw new ConfigError(`the environment variable \`${name}\` is not set, but the configuration takes a secret from it`)
}

function fromFile(path: string): string {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`the secret file \`${path}\` cannot be read`, { cause })
  }
  const value = text.replace(/\r?\n$/, '')
  if (value !== '') return value
  throw new ConfigError(`the secret file \`${path}\` is empty`)
}
