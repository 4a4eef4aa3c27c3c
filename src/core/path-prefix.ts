/**
 * @module
 * Paths as grants understand them: whole segments, and nothing that some receiver might normalise into something else.
 */

/** A path that means the same to every receiver. */
export interface StrictPath {
  readonly absolute: boolean
  readonly segments: readonly string[]
}

/** The path of a grant. One slash at its end is a habit of people and is ignored; `/` alone is the whole tree. */
export function parsePathPrefix(prefix: string): StrictPath | undefined {
  if (prefix === '/') return { absolute: true, segments: [] }
  return parsePath(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix)
}

/**
 * The path of a request, or undefined when it is not plain: empty segments, `.`, `..` (also as `. .` or `...`, which
 * Windows trims), `%`, backslash, control characters, and characters whose compatibility form (NFKC) is something else,
 * such as fullwidth dots. Does not follow symbolic links and does not know the case rules of a file system.
 */
export function parsePath(path: string): StrictPath | undefined {
  if (!isPlain(path)) return undefined
  const absolute = path.startsWith('/')
  const segments = (absolute ? path.slice(1) : path).split('/')
  return segments.every((segment) => /[^. ]/.test(segment)) ? { absolute, segments } : undefined
}

/** True when `path` is `prefix` or lies below it. */
export function isBelow(path: StrictPath, prefix: StrictPath): boolean {
  return (
    path.absolute === prefix.absolute &&
    path.segments.length >= prefix.segments.length &&
    prefix.segments.every((segment, index) => segment === path.segments[index])
  )
}

function isPlain(path: string): boolean {
  return path.isWellFormed() && !/[\\%\p{Cc}]/u.test(path) && path.normalize('NFKC') === path
}
