/**
 * @module
 * Trials are bounded in `npm test` and long in `npm run soak`: counts go through `scaled`.
 */

const isSoak = process.env['UNBEARER_SOAK'] === '1'

/** `count` in `npm test`; `times` as many (20 unless told) in `npm run soak`. */
export function scaled(count: number, times = 20): number {
  return isSoak ? count * times : count
}
