/**
 * @module
 * Reads Cedar policies from a folder. A folder without a policy is refused: whether nothing then means everything or
 * nothing is a question that must not come up.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../core/errors.ts'

/** One file of policies. `name` is the file's name, for messages. */
export interface PolicyFile {
  readonly name: string
  readonly text: string
}

/** The folder with the policies that come with this package. */
export const defaultPolicyFolder: string = fileURLToPath(new URL('../../policies/default/', import.meta.url))

/** The policies of operators that come with this package. */
export const defaultOperatorPolicyFolder: string = fileURLToPath(new URL('../../policies/operators/', import.meta.url))

const schemaFile: string = fileURLToPath(new URL('../../policies/schema.cedarschema', import.meta.url))

/**
 * The `*.cedar` files of `dir`, sorted by name (code units); sub-folders are not read. Throws `ConfigError` when the
 * folder cannot be read or has no such file. Does not parse: `createCedarEngine` does.
 */
export async function loadPolicyFolder(dir: string): Promise<readonly PolicyFile[]> {
  const names = (await orConfigError(dir, readdir(dir))).filter((name) => name.endsWith('.cedar')).toSorted()
  if (names.length === 0) throw new ConfigError(`no \`*.cedar\` file in \`${dir}\``)
  return Promise.all(names.map(async (name) => ({ name, text: await readText(join(dir, name)) })))
}

/** The schema that comes with this package, in Cedar's own format. */
export async function loadDefaultSchema(): Promise<string> {
  return readText(schemaFile)
}

async function readText(path: string): Promise<string> {
  const bytes = await orConfigError(path, readFile(path))
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new ConfigError(`\`${path}\` is not UTF-8`, { cause })
  }
}

async function orConfigError<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new ConfigError(`cannot read \`${path}\``, { cause })
  }
}
