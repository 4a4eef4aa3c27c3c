/**
 * @module
 * Reads an OPA bundle: a gzipped tar (POSIX ustar) with `policy.wasm` and `data.json` at its root. Only these are looked
 * at, nothing is written to the disk, and names in the archive lead nowhere.
 */
import { gunzipSync } from 'node:zlib'
import { ConfigError } from '../core/errors.ts'

export interface Bundle {
  readonly wasm: Uint8Array
  /** JSON text; absent when the bundle has none. */
  readonly data?: Uint8Array
}

const BLOCK = 512
/** Unpacked, in bytes. */
const MAX_BUNDLE = 268_435_456
const GZIP = [0x1f, 0x8b]
const WASM = [0x00, 0x61, 0x73, 0x6d]

/**
 * The policy in `bytes`, a bundle or a bare `policy.wasm`. Throws `ConfigError` for anything else.
 * Does not read manifests or signatures, and does not know whether the policy is valid WebAssembly.
 */
export function readBundle(bytes: Uint8Array): Bundle {
  if (startsWith(bytes, WASM)) return { wasm: bytes }
  if (!startsWith(bytes, GZIP)) throw new ConfigError('the `bundle` is neither a `.tar.gz` nor a `.wasm`')
  const files = readTar(unzip(bytes), ['policy.wasm', 'data.json'])
  const wasm = files.get('policy.wasm')
  if (wasm === undefined)
    throw new ConfigError('the `bundle` has no `policy.wasm`, build it with `opa build -t wasm -e PATH`')
  const data = files.get('data.json')
  return { wasm, ...(data === undefined ? {} : { data }) }
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, index) => bytes[index] === byte)
}

function unzip(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BUNDLE })
  } catch (cause) {
    throw new ConfigError('the `bundle` cannot be unpacked', { cause })
  }
}

/** The wanted files at the root. Twice the same name is refused: two readers could take different ones. */
function readTar(tar: Uint8Array, wanted: readonly string[]): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  for (let at = 0; at + BLOCK <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + BLOCK)
    const name = readText(header, 0, 100).replace(/^\.?\/+/, '')
    const size = readSize(readText(header, 124, 12).trim())
    const end = at + BLOCK + size
    if (end > tar.length) throw new ConfigError('the `bundle` is cut off')
    if (readText(header, 345, 155) === '' && wanted.includes(name)) {
      if (files.has(name)) throw new ConfigError(`the \`bundle\` has \`${name}\` twice`)
      files.set(name, tar.subarray(at + BLOCK, end))
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

/** Octal digits; anything else is no archive that `opa build` wrote. */
function readSize(text: string): number {
  if (/^[0-7]{1,11}$/.test(text)) return Number.parseInt(text, 8)
  throw new ConfigError('the `bundle` cannot be unpacked')
}

function readText(header: Uint8Array, from: number, length: number): string {
  const field = header.subarray(from, from + length)
  const end = field.indexOf(0)
  return new TextDecoder('latin1').decode(end < 0 ? field : field.subarray(0, end))
}
