/**
 * @module
 * The private keys of an installation in one file of their own, apart from the backup: whoever has both can be this
 * installation.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve } from 'node:path'

import { InputError } from '../core/errors.ts'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { parseJson } from '../core/parse-json.ts'
import { writeDurably } from '../server/durable-file.ts'
import { secretFiles } from './deployment.ts'
import type { Config } from './load.ts'

interface KeyFile {
  /** Within the folder of the configuration, or absolute. */
  readonly path: string
  /** Base64. */
  readonly bytes: string
}

/**
 * Writes the keys and secrets that are files, and every `*.jwk` beside the key of the log, into the new file `to`, mode
 * 0600. Answers their names. Throws `InputError` when `to` is there already. Holds no secret that comes from the environment.
 */
export function writeKeys(config: Config, to: string): readonly string[] {
  if (existsSync(to)) throw new InputError(`\`${to}\` is there already, and \`backup\` overwrites nothing`)
  const folders = new Set(secretFiles(config).map((file) => dirname(file)))
  const beside = [...folders].flatMap((folder) =>
    readdirSync(folder).flatMap((name) => (name.endsWith('.jwk') ? [join(folder, name)] : [])),
  )
  const certificates = certificateFiles(config)
  const found = [...new Set([...secretFiles(config), ...certificates, ...beside])].filter((path) => existsSync(path))
  const files = found.map((path) => ({ path: toName(config.dir, path), bytes: readFileSync(path).toString('base64') }))
  writeDurably(resolve(to), Buffer.from(`${JSON.stringify({ kind: 'unbearer-keys', version: 1, files }, null, 2)}\n`))
  return files.map(({ path }) => path)
}

/** Public, but nothing is served without them. */
function certificateFiles({ tls, engine }: Config): readonly string[] {
  const certificates = [tls?.cert, ...engine.map((each) => ('tls' in each ? each.tls.cert : undefined))]
  return certificates.flatMap((cert) => (cert !== undefined && 'file' in cert.source ? [cert.source.file] : []))
}

function toName(dir: string, path: string): string {
  const name = relative(dir, path)
  return name.startsWith('..') || isAbsolute(name) ? path : name
}

/**
 * Puts keys back to where they were: below `dir`, or at an absolute path. What is there and differs is left, and named in an
 * `InputError` before anything is written.
 */
export function readKeysInto(from: string, dir: string): readonly string[] {
  const files = parseKeys(from).map(({ path, bytes }) => ({
    path: resolve(dir, path),
    bytes: Buffer.from(bytes, 'base64'),
  }))
  const missing = files.filter(({ path }) => !existsSync(path))
  for (const { path, bytes } of files)
    if (existsSync(path) && !readFileSync(path).equals(bytes))
      throw new InputError(`\`${path}\` is there already and is another key; take it away first`)
  for (const { path, bytes } of missing) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeDurably(path, bytes)
  }
  return missing.map(({ path }) => path)
}

function parseKeys(from: string): readonly KeyFile[] {
  const refusal = new InputError(`\`${from}\` is not a whole file of \`backup --with-keys\``)
  const value = readJson(from, refusal)
  const files: readonly Json[] = Array.isArray(value['files']) ? value['files'] : []
  if (value['kind'] !== 'unbearer-keys' || value['version'] !== 1 || files.length === 0) throw refusal
  return files.map((file) => {
    const { path, bytes } = toObject(file)
    if (typeof path === 'string' && typeof bytes === 'string' && !path.split(/[/\\]/).includes('..'))
      return { path, bytes }
    throw refusal
  })
}

function readJson(from: string, refusal: InputError): JsonObject {
  try {
    return toObject(parseJson(readFileSync(from, 'utf8')))
  } catch (fault) {
    throw fault instanceof InputError ? refusal : new InputError(`the file of keys \`${from}\` cannot be read`)
  }
}

function toObject(value: Json): JsonObject {
  return isJsonObject(value) ? value : {}
}
