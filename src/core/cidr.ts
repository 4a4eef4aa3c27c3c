/**
 * @module
 * IP addresses and blocks (RFC 4632, RFC 4291), in the one spelling that every parser reads alike.
 */

export interface Block {
  readonly bits: 32 | 128
  readonly value: bigint
  readonly length: number
}

/**
 * One address as a block of full length. Dotted decimal without leading zeros, short or hexadecimal forms; IPv6 with at
 * most one `::` and without zone. Undefined for everything else. An IPv4-mapped address is IPv6 here and never matches
 * an IPv4 block.
 */
export function parseAddress(text: string): Block | undefined {
  const v4 = parseV4(text)
  if (v4 !== undefined) return { bits: 32, value: v4, length: 32 }
  const v6 = parseV6(text)
  return v6 === undefined ? undefined : { bits: 128, value: v6, length: 128 }
}

/** A block `address/length`. Undefined when bits beyond the length are set: then the writer meant something else. */
export function parseCidr(text: string): Block | undefined {
  const [, address = '', digits = ''] = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text) ?? []
  const parsed = parseAddress(address)
  const length = Number(digits)
  if (parsed === undefined || digits === '' || length > parsed.bits) return undefined
  const block: Block = { ...parsed, length }
  return leading(block, length) << BigInt(parsed.bits - length) === parsed.value ? block : undefined
}

/** True when every address of `block` lies in `outer`. */
export function isWithin(block: Block, outer: Block): boolean {
  return (
    block.bits === outer.bits &&
    block.length >= outer.length &&
    leading(block, outer.length) === leading(outer, outer.length)
  )
}

function leading(block: Block, length: number): bigint {
  return block.value >> BigInt(block.bits - length)
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) {
    return undefined
  }
  return parts.reduce((sum, part) => (sum << 8n) | BigInt(part), 0n)
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split('::')
  if (halves.length > 2 || !text.includes(':')) return undefined
  const head = toGroups(halves[0] ?? '', halves.length === 1)
  const tail = halves.length === 2 ? toGroups(halves[1] ?? '', true) : []
  if (head === undefined || tail === undefined) return undefined
  const missing = 8 - head.length - tail.length
  // `::` stands for at least one group.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined
  return [...head, ...Array<bigint>(missing).fill(0n), ...tail].reduce((sum, group) => (sum << 16n) | group, 0n)
}

/** The 16-bit groups of one side of `::`; only the last group of the address may be dotted decimal. */
function toGroups(text: string, last: boolean): readonly bigint[] | undefined {
  if (text === '') return []
  const groups: bigint[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    const v4 = last && index === parts.length - 1 ? parseV4(part) : undefined
    if (v4 !== undefined) groups.push(v4 >> 16n, v4 & 0xffffn)
    else if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(BigInt(`0x${part}`))
    else return undefined
  }
  return groups
}
