/**
 * @module
 * The host of a destination, read so that no receiver can read another one out of the same text.
 */

/** Schemes whose authority every parser delimits alike; `javascript://good.example/…` has a host too. */
const URL_SHAPE = /^(?:https?|wss?):\/\/([^/?#@]+)(?:\/.*)?$/i
/** Dot-atom without `%` and `!`, which old mailers take as a route to another host. */
const EMAIL_SHAPE = /^[a-z0-9_+'=-]+(?:\.[a-z0-9_+'=-]+)*@([^@]+)$/i
const PORT_SHAPE = /^(.*):[0-9]{1,5}$/

/**
 * The lower-case host of a host name (with or without port), an `http(s)` or `ws(s)` URL, or an e-mail address.
 * Undefined unless it is plain ASCII letters, digits and hyphens (RFC 1123 §2.1) with nothing to misread: no user
 * information, white space, backslash, trailing dot, address literal, or list of addresses.
 * Does not resolve the name and does not know public suffixes.
 */
export function toHost(value: string): string | undefined {
  if (!/^[\x21-\x5b\x5d-\x7e]+$/.test(value)) return undefined
  const email = EMAIL_SHAPE.exec(value)?.[1]
  if (email !== undefined) return parseHost(email)
  const authority = value.includes('://') ? URL_SHAPE.exec(value)?.[1] : value
  return authority === undefined ? undefined : parseHost(PORT_SHAPE.exec(authority)?.[1] ?? authority)
}

/** A host name in lower case, or undefined when it is not a plain DNS name. An all-digit last label is an address. */
export function parseHost(name: string): string | undefined {
  const labels = name.toLowerCase().split('.')
  if (name.length > 253 || !labels.every((label) => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label)))
    return undefined
  return /^(?:[0-9]+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') ? undefined : labels.join('.')
}

/** True when `host` is `suffix` or a name below it; both as `parseHost` gives them. */
export function isUnder(host: string, suffix: string): boolean {
  return host === suffix || host.endsWith(`.${suffix}`)
}
