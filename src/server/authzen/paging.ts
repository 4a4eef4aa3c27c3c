/**
 * @module
 * Pages of search results (AuthZEN Authorization API 1.0 §8.2). A page token is an offset under a MAC over the search it
 * belongs to, so that it serves no other search and needs no state.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'

import { asJson } from '../../core/json.ts'
import { hashOf, InputError, type JsonObject } from '../../index.ts'
import type { Search } from './requests.ts'

/** Results of a page where the PEP does not say. */
const PAGE_SIZE = 100
const MAX_PAGE_SIZE = 1_000

/**
 * The page that was asked for: `{results, page: {next_token, count, total}}`, `next_token` empty at the end. A page after the
 * first has the limit of the first, which need not be said again. Throws `InputError` for a token that is not one of this
 * search, or that comes with another limit. Does not promise that nothing moved between two pages: the entities may have been
 * loaded anew.
 */
export function toPage(key: Uint8Array, search: Search, found: readonly JsonObject[]): JsonObject {
  const { page, ...parameters } = search
  const about = hashOf(asJson(parameters))
  const { offset, limit } =
    page.token === undefined ? { offset: 0, limit: page.limit ?? PAGE_SIZE } : readToken(key, about, page.token)
  if (page.limit !== undefined && page.limit !== limit)
    throw new InputError('`page.limit` is not that of the page before, and the token belongs to that')
  const end = offset + Math.min(limit, MAX_PAGE_SIZE)
  const results = found.slice(offset, end)
  const next = end < found.length ? toToken(key, about, { offset: end, limit }) : ''
  return { results, page: { next_token: next, count: results.length, total: found.length } }
}

/** Where a page begins, and how many results were asked for. */
interface Place {
  readonly offset: number
  readonly limit: number
}

function toToken(key: Uint8Array, about: string, { offset, limit }: Place): string {
  const place = `${offset}.${limit}`
  return `${place}.${createHmac('sha256', key).update(`${about}\n${place}`).digest('base64url')}`
}

function readToken(key: Uint8Array, about: string, text: string): Place {
  const [, first, second] = /^([0-9]{1,9})\.([0-9]{1,16})\./.exec(text) ?? []
  const place = { offset: Number(first), limit: Number(second) }
  const given = Buffer.from(text)
  const expected = Buffer.from(first === undefined ? '' : toToken(key, about, place))
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new InputError('`page.token` does not belong to this search')
  return place
}
