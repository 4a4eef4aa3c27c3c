/**
 * @module
 * A YAML file that an operator hands in, as JSON.
 */
import { readFile } from 'node:fs/promises'

import { ConfigError } from '../core/errors.ts'
import type { Json } from '../core/json.ts'

/** The strict YAML of `path`, `-` for standard input. Throws `ConfigError` when it cannot be read. */
export async function readYaml(path: string): Promise<Json> {
  const { toPlainYaml } = await import('../config/strict-yaml.ts')
  let text: string
  try {
    text = await readFile(path === '-' ? '/dev/stdin' : path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be read`, { cause })
  }
  return toPlainYaml(text)
}
