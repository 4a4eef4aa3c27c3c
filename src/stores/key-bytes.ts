/**
 * @module
 * Keys as bytes whose order is that of UTF-16 code units, which is how JavaScript compares text. UTF-8 differs only beyond
 * the BMP, so each surrogate is encoded by itself (CESU-8). Injective, also for lone surrogates and NUL; ASCII stays ASCII.
 */
const HALF = /[\ud800-\udfff]/

/** The bytes of a key. */
export function toKeyBytes(key: string): Uint8Array {
  if (!HALF.test(key)) return Buffer.from(key, 'utf8')
  return Buffer.concat(Array.from({ length: key.length }, (_, i) => toUnitBytes(key.charCodeAt(i))))
}

function toUnitBytes(unit: number): Uint8Array {
  if (unit < 0xd800 || unit > 0xdfff) return Buffer.from(String.fromCharCode(unit), 'utf8')
  return Uint8Array.of(0xe0 | (unit >> 12), 0x80 | ((unit >> 6) & 0x3f), 0x80 | (unit & 0x3f))
}

/** The key of bytes that `toKeyBytes` made. */
export function fromKeyBytes(bytes: Uint8Array): string {
  const units: number[] = []
  for (let at = 0; at < bytes.length;) {
    const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3)
    const width = first < 0x80 ? 1 : first < 0xe0 ? 2 : 3
    if (width === 1) units.push(first)
    else if (width === 2) units.push(((first & 0x1f) << 6) | (second & 0x3f))
    else units.push(((first & 0x0f) << 12) | ((second & 0x3f) << 6) | (third & 0x3f))
    at += width
  }
  return units.map((unit) => String.fromCharCode(unit)).join('')
}

/** Greater than every key: no byte of one is above 0xef. */
const BEYOND = Uint8Array.of(0xff)

/** The keys with `prefix` that come after `after`, as bytes: from `from` on, and before `end`. */
export function toKeyRange(
  prefix: string,
  after: string | undefined,
): { readonly from: Uint8Array; readonly end: Uint8Array } {
  const start = toKeyBytes(prefix)
  const end = toPrefixEnd(start) ?? BEYOND
  if (after === undefined) return { from: start, end }
  // Nothing lies between a key and the same with a zero byte behind it.
  const next = Buffer.concat([toKeyBytes(after), Uint8Array.of(0)])
  return { from: Buffer.compare(next, start) > 0 ? next : start, end }
}

/** The smallest bytes that are greater than everything that starts with `prefix`; undefined when there are none. */
function toPrefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  const last = prefix.findLastIndex((byte) => byte < 0xff)
  if (last < 0) return undefined
  const end = Uint8Array.from(prefix.subarray(0, last + 1))
  end[last] = (end[last] ?? 0) + 1
  return end
}
