/**
 * @module
 * Whether a text names a thing: objects by the stems of their words, destinations only as a whole.
 */

/**
 * True when every word of the object's own name stands in `text`, in any order, singular or plural:
 * `public.order_items` is named by `the items of order 7`. The own name is the last segment of a path, else the last
 * part of a qualified name. Does not promise that the text is about the object.
 */
export function isObjectNamed(object: string, text: string): boolean {
  const stems = new Set(toStems(text))
  const wanted = toStems(toOwnName(object))
  return wanted.length > 0 && wanted.every((stem) => stems.has(stem))
}

function toOwnName(object: string): string {
  // `function:purge` or `role:admin`: what it is called, not what it is.
  const kind = /^[a-z]+:(?!\/)/.exec(object)
  if (kind !== null) return toOwnName(object.slice(kind[0].length))
  if (object.includes('/')) return object.split('/').findLast((segment) => segment !== '') ?? ''
  return object.split('.').at(-1) ?? ''
}

/** Words of letters and digits, cut at changes of case too (`orderItems`). */
function toStems(text: string): readonly string[] {
  const words = text.replaceAll(/(?<=\p{Ll})(?=\p{Lu})/gu, ' ').match(/[\p{L}\p{N}]+/gu) ?? []
  return words.map((word) => toStem(word.toLowerCase()))
}

/** A crude stem that is the same for singular and plural: `customers`, `addresses`, `categories`, `purchases`. */
function toStem(word: string): string {
  const singular = /(?<![sui])s$/.test(word) && word.length > 2 ? word.slice(0, -1) : word
  return singular.replace(/(?<=..)e$/, '').replace(/y$/, 'i')
}

/** What may stand right before and right after an address without being a part of it. */
const BEFORE = /[^\p{L}\p{N}._%+@-]$/u
const AFTER = /^(?:[^\p{L}\p{N}@_.%+-]|\.(?![\p{L}\p{N}])|$)/u

/** True when the whole address stands in `text`, without regard to case, and not as a part of a longer one. */
export function isDestinationNamed(destination: string, text: string): boolean {
  const address = destination.trim().toLowerCase()
  const hay = text.toLowerCase()
  if (address === '') return false
  for (let at = hay.indexOf(address); at >= 0; at = hay.indexOf(address, at + 1)) {
    const end = at + address.length
    if ((at === 0 || BEFORE.test(hay.slice(Math.max(0, at - 2), at))) && AFTER.test(hay.slice(end, end + 3)))
      return true
  }
  return false
}
