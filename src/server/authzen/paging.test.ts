/**
 * @module
 * Pages: nothing is left out or given twice, and a token serves its own search, with its own limit, under its own key.
 * Seen to fail: with the limit outside of the MAC.
 */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { isJsonObject, type JsonObject } from '../../index.ts'
import { toPage } from './paging.ts'
import { parseSearch, type Page, type Search } from './requests.ts'

const key = new Uint8Array(32)
const search = (type: string, page: Page): Search => ({
  ...parseSearch('resource', { subject: { type: 'user', id: 'a' }, action: { name: 'read' }, resource: { type } }),
  page,
})
const found = (count: number): readonly JsonObject[] =>
  Array.from({ length: count }, (_, id) => ({ type: 'doc', id: `${id}` }))
const tokenOf = ({ page }: JsonObject): string => {
  const token = isJsonObject(page) ? page['next_token'] : undefined
  return typeof token === 'string' ? token : ''
}

it('goes through all results in order, whatever the limit', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 12 }), (total, limit) => {
      const all = found(total)
      const seen: unknown[] = []
      let token: string | undefined
      for (let turn = 0; turn < 50; turn += 1) {
        const page = toPage(key, search('doc', token === undefined ? { limit } : { token }), all)
        seen.push(...Object(page['results']))
        token = tokenOf(page)
        if (token === '') break
      }
      expect([seen, token]).toEqual([all, ''])
    }),
  )
})

const count = (page: Page): number => Object(toPage(key, search('doc', page), found(3_000))['results']).length

it('has 100 results where nobody says, and never more than 1,000', () => {
  expect([count({}), count({ limit: 2_000 }), count({ limit: 0 })]).toEqual([100, 1_000, 0])
})

it('takes no token of another search, another key, or another limit, and none that was written by hand', () => {
  const token = tokenOf(toPage(key, search('doc', { limit: 2 }), found(9)))
  const turn =
    (type: string, page: Page, by = key) =>
    () =>
      toPage(by, search(type, page), found(9))
  expect(turn('doc', { token, limit: 2 })).not.toThrow()
  expect(turn('mail', { token })).toThrow('does not belong')
  expect(turn('doc', { token }, new Uint8Array(32).fill(1))).toThrow('does not belong')
  expect(turn('doc', { token, limit: 3 })).toThrow('`page.limit`')
  const forged = [token.replace(/^2\./, '4.'), token.replace('2.2.', '2.9.'), 'x', '2.2.', '', '0.0.', `${token}x`]
  for (const each of forged.filter((text) => text !== ''))
    expect(turn('doc', { token: each })).toThrow('does not belong')
})
