import { describe, expect, it } from 'vitest'

import { createMemoryStore } from '../stores/memory.ts'
import { isRegistered, redeemIssued, sweepIssued, toBurnDomain, toIssuedWrite } from './issued.ts'

const NOW = 1_790_000_000_000
const CLAIMS = {
  iat: NOW / 1000,
  exp: NOW / 1000 + 30,
  jti: 'j1',
  aud: 'https://a.example',
  tctx: { evaluation_id: 'e1' },
}

function createStore(): ReturnType<typeof createMemoryStore> {
  return createMemoryStore({ seal: () => '', clock: { now: () => NOW } })
}

describe('credentials that leave the process', () => {
  it('are redeemed once, by the first of 64', async () => {
    const store = createStore()
    await store.commit({ writes: [toIssuedWrite(CLAIMS)] })
    expect(await isRegistered(store, CLAIMS)).toBe(true)
    const all = await Promise.all(Array.from({ length: 64 }, async () => redeemIssued(store, CLAIMS)))
    expect(all.filter(Boolean)).toHaveLength(1)
    expect(await isRegistered(store, CLAIMS)).toBe(false)
  })

  it.each([
    ['never registered', { ...CLAIMS, jti: 'j2' }],
    ['for another audience', { ...CLAIMS, aud: 'https://b.example' }],
    ['of a longer life', { ...CLAIMS, exp: CLAIMS.exp + 1 }],
    ['issued at another time', { ...CLAIMS, iat: CLAIMS.iat + 1 }],
  ])('are refused when %s', async (_title, claims) => {
    const store = createStore()
    await store.commit({ writes: [toIssuedWrite(CLAIMS)] })
    expect(await redeemIssued(store, claims)).toBe(false)
    expect(await redeemIssued(store, CLAIMS)).toBe(true)
  })

  it('stay burned in the domain of their audience when the register comes back', async () => {
    const store = createStore()
    await store.commit({ writes: [toIssuedWrite(CLAIMS)] })
    expect(await redeemIssued(store, CLAIMS)).toBe(true)
    await store.commit({ writes: [toIssuedWrite(CLAIMS)] })
    expect(await redeemIssued(store, CLAIMS)).toBe(false)
    expect(toBurnDomain(CLAIMS.aud)).toBe('jti/https%3A%2F%2Fa.example')
  })

  it('are swept away when nobody can redeem them any more', async () => {
    const store = createStore()
    await store.commit({ writes: [toIssuedWrite(CLAIMS)] })
    await sweepIssued(store, (CLAIMS.exp + 5) * 1000)
    expect(await isRegistered(store, CLAIMS)).toBe(true)
    await sweepIssued(store, (CLAIMS.exp + 6) * 1000)
    expect(await isRegistered(store, CLAIMS)).toBe(false)
  })
})
