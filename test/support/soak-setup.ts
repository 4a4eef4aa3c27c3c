/**
 * @module
 * Loaded before each test file of `npm run soak` only: property tests run longer, under the seed of the round, which
 * `scripts/soak.mjs` prints. The same `UNBEARER_SEED` gives the same round again.
 */
import { configureGlobal } from 'fast-check'

import { scaled } from './scale.ts'

const seed = Number(process.env['UNBEARER_SEED'])
configureGlobal({ numRuns: scaled(100), ...(Number.isSafeInteger(seed) ? { seed } : {}) })
