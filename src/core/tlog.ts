/**
 * @module
 * Text and bytes of a tiled transparency log (C2SP tlog-checkpoint, tlog-tiles, tlog-proof): paths, tiles, entry bundles,
 * the head of a checkpoint, and the offline proof. Pure. Every parser accepts exactly what its writer produces, so no
 * byte of an export can change unseen. Signatures are not this module's: see `crypto/note.ts`.
 */
import { InputError } from './errors.ts'
import { HASH_BYTES } from './merkle.ts'

/** Nodes of a full tile, and entries of a full bundle. */
export const TILE_WIDTH = 256
/** Levels of the tree in one level of tiles. */
export const TILE_HEIGHT = 8

/** One tile or bundle. `width` is 1 to 256. */
export interface Tile {
  readonly level: number | 'entries'
  readonly index: number
  readonly width: number
}

/** The path under the log's prefix, for example `tile/0/x001/x234/067.p/5`. */
export function toTilePath({ level, index, width }: Tile): string {
  const digits = String(index)
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/.{3}/gu) ?? []
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/')
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`
}

/** The bundles and tiles of a tree, bundles first, then level by level (tlog-tiles, "Partial Tiles"). */
export function toTiles(size: number): readonly Tile[] {
  const tiles = toRow('entries', size)
  let level = 0
  for (let count = size; count > 0; count = Math.floor(count / TILE_WIDTH)) {
    tiles.push(...toRow(level, count))
    level += 1
  }
  return tiles
}

function toRow(level: Tile['level'], count: number): Tile[] {
  return Array.from({ length: Math.ceil(count / TILE_WIDTH) }, (_, index) => ({
    level,
    index,
    width: Math.min(TILE_WIDTH, count - index * TILE_WIDTH),
  }))
}

/** Entries, each behind its length as a big-endian uint16. Throws `InputError` beyond 65,535 bytes. */
export function toBundle(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > 0xffff) throw new InputError('an entry is longer than 65535 bytes')
      const length = Buffer.alloc(2)
      length.writeUInt16BE(entry.length)
      return [length, entry]
    }),
  )
}

/** The entries of a bundle. Throws `InputError` when the bytes end within an entry. */
export function parseBundle(bytes: Uint8Array): readonly Uint8Array[] {
  const { entries, rest } = readBundle(bytes)
  if (rest > 0) throw new InputError('the bundle ends within an entry')
  return entries
}

/** As many whole entries as there are, and how many bytes follow them: for an auditor, who names the first bad entry. */
export function readBundle(bytes: Uint8Array): { readonly entries: readonly Uint8Array[]; readonly rest: number } {
  const entries: Uint8Array[] = []
  let at = 0
  for (;;) {
    const [high = 0, low] = bytes.subarray(at, at + 2)
    const end = at + 2 + high * 256 + (low ?? 0)
    if (low === undefined || end > bytes.length) return { entries, rest: bytes.length - at }
    entries.push(bytes.subarray(at + 2, end))
    at = end
  }
}

export interface TreeHead {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/**
 * The head that a checkpoint states; undefined when its text is not one. Does not look at the signatures: whoever relies
 * on the head verifies them with `openCheckpoint`.
 */
export function parseTreeHead(checkpoint: string): TreeHead | undefined {
  const [origin, digits, base64, end] = checkpoint.split('\n')
  if (origin === undefined || digits === undefined || base64 === undefined || end === undefined) return undefined
  const size = parseCount(digits)
  const root = parseHash(base64)
  return origin === '' || size === undefined || root === undefined ? undefined : { origin, size, root }
}

export const TLOG_PROOF = 'c2sp.org/tlog-proof@v1'

/** A proof that can be verified offline. `extra` is not authenticated by anything. */
export interface TlogProof {
  readonly extra?: Uint8Array
  readonly index: number
  readonly hashes: readonly Uint8Array[]
  /** The signed checkpoint, verbatim. */
  readonly checkpoint: string
}

/** The text of a proof (C2SP tlog-proof, "Format"). */
export function toTlogProof({ extra, index, hashes, checkpoint }: TlogProof): string {
  const lines = extra === undefined ? [TLOG_PROOF] : [TLOG_PROOF, `extra ${toBase64(extra)}`]
  return [...lines, `index ${index}`, ...hashes.map(toBase64), '', checkpoint].join('\n')
}

/**
 * Parses the text of a proof, strictly. Throws `InputError`. Does not verify anything: that takes `verifyInclusion` and
 * `openCheckpoint`.
 */
export function parseTlogProof(text: string): TlogProof {
  const middle = text.indexOf('\n\n')
  if (middle < 0) throw new InputError('the proof has no checkpoint')
  const [title, ...lines] = text.slice(0, middle).split('\n')
  if (title !== TLOG_PROOF) throw new InputError(`the first line of a proof is \`${TLOG_PROOF}\``)
  const extra = lines[0]?.startsWith('extra ') === true ? parseBase64(lines.shift()?.slice(6) ?? '') : undefined
  const counted = lines.shift()
  const index = counted?.startsWith('index ') === true ? parseCount(counted.slice(6)) : undefined
  if (index === undefined) throw new InputError('the proof has no index')
  const proof = { index, hashes: lines.map(toHash), checkpoint: text.slice(middle + 2) }
  return extra === undefined ? proof : { extra, ...proof }
}

function toHash(line: string): Uint8Array {
  const hash = parseHash(line)
  if (hash === undefined) throw new InputError('a line of the proof is not a hash')
  return hash
}

/** RFC 4648 §4, with padding. */
export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

/** The bytes of canonical base64; throws `InputError` for any other spelling of them. */
export function parseBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new InputError('not canonical base64')
  return bytes
}

function parseHash(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === HASH_BYTES && bytes.toString('base64') === text ? bytes : undefined
}

/** ASCII decimal without leading zeroes, up to 2^53. */
function parseCount(text: string): number | undefined {
  const value = /^(?:0|[1-9]\d{0,15})$/u.test(text) ? Number(text) : undefined
  return value !== undefined && Number.isSafeInteger(value) ? value : undefined
}
