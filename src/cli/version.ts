/**
 * @module
 * The version of this package, from its own `package.json`.
 */
import { readFileSync } from 'node:fs'

import { isJsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'

export const version: string = readVersion()

function readVersion(): string {
  const found = parseJson(readFileSync(new URL('../../package.json', import.meta.url)))
  return isJsonObject(found) && typeof found['version'] === 'string' ? found['version'] : 'unknown'
}
