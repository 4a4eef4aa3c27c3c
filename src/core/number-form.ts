/**
 * @module
 * Whether a decimal number survives the way through a double. Two parsers that round differently would otherwise read two
 * different actions from one text.
 */
const DECIMAL = /^-?([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/
const INTEGER_LIMIT = 2 ** 53

/**
 * True when `text` (RFC 8259 grammar) has exactly the decimal value of the ECMAScript shortest form of `value`, which is
 * `Number(text)`, and that value is not an integer beyond ±2^53. Does not look at the sign: `Number` keeps it.
 */
export function isRoundTrip(text: string, value: number): boolean {
  // Every double beyond 2^53 is an integer.
  if (!(Math.abs(value) <= INTEGER_LIMIT)) return false
  const shortest = String(value)
  return text === shortest || toScientific(text) === toScientific(shortest)
}

/** The significant digits and the power of ten of the last one; `0` for every zero. */
function toScientific(text: string): string | undefined {
  const [, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? []
  const digits = whole + fraction
  let first = 0
  while (first < digits.length && digits.charCodeAt(first) === 0x30) first += 1
  let end = digits.length
  while (end > first && digits.charCodeAt(end - 1) === 0x30) end -= 1
  if (first === end) return '0'
  return `${digits.slice(first, end)}e${Number(exponent) - fraction.length + (digits.length - end)}`
}
