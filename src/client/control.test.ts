import { describe, expect, it } from 'vitest'

import { generateKey } from '../crypto/keys.ts'
import { callControl } from './control.ts'

const unreachable = async (): Promise<Response> => Promise.reject(new TypeError('fetch failed'))

describe('a call of the control plane', () => {
  it('says where nobody answers', async () => {
    const call = callControl({
      url: 'http://127.0.0.1:8700',
      key: generateKey('Ed25519'),
      method: 'status',
      fetch: unreachable,
    })
    await expect(call).rejects.toMatchObject({
      code: 'ERR_UNBEARER_UNAVAILABLE',
      message: expect.stringContaining('nobody answers at `http://127.0.0.1:8700`'),
    })
  })
})
