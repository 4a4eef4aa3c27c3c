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
 * The page that was asked for: `{results, page: {next_token, count, total}}`, `next_token` empty at the end. Throws
 * `InputError` for a token that is not one of this search. Does not promise that nothing moved between two pages: the
 * entities may have been loaded anew.
 */
export function toPage(key: Uint8Array, search: Search, found: readonly JsonObject[]): JsonObject {
  const { page, ...parameters } = search
  const about = hashOf(asJson(parameters))
  const start = page.token === undefined ? 0 : readToken(key, about, page.token)
  const end = start + Math.min(page.limit ?? PAGE_SIZE, MAX_PAGE_SIZE)
  const results = found.slice(start, end)
  const next = end < found.length ? toToken(key, about, end) : ''
  return { results, page: { next_token: next, count: results.length, total: found.length } }
}

function toToken(key: Uint8Array, about: string, offset: number): string {
  return `${offset}.${createHmac('sha256', key).update(`${about}\n${offset}`).digest('base64url')}`
}

function readToken(key: Uint8Array, about: string, text: string): number {
  const offset = Number(/^([1-9][0-9]{0,8})\./.exec(text)?.[1])
  const given = Buffer.from(text)
  const expected = Buffer.from(Number.isSafeInteger(offset) ? toToken(key, about, offset) : '')
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw new InputError('`page.token` does not belong to this search')
  return offset
}
