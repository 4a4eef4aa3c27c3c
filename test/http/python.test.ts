/**
 * The vectors of a redemption, and a resource server in Python that shares no line with ours: `examples/python`. It skips, with
 * a printed notice, where `python3` or its package `cryptography` is missing.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { createActionFetch } from '../../src/client/index.ts'
import { importKey } from '../../src/crypto/keys.ts'
import { verifyRedemption } from '../../src/crypto/redemption-answer.ts'
import { findPort } from '../support/listen-on.ts'
import { createInstallation, ISSUER, type Installation } from '../support/installation.ts'
import { acceptOrders, ORDERS, ORDERS_GRANT, ORDERS_YAML } from '../support/orders-audience.ts'
import { toRedemptionVector } from '../support/redemption-vectors.ts'

const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'python')
const vectors = join(root, 'docs', 'reference', 'vectors', 'redemption.json')
const hasPython = spawnSync('python3', ['-c', 'import cryptography']).status === 0
if (!hasPython) console.info('skipped: python3 with `cryptography` is not here')

describe('the vectors of a redemption', () => {
  it('are what the code makes', () => {
    const vector = toRedemptionVector()
    expect(JSON.parse(readFileSync(vectors, 'utf8'))).toEqual(JSON.parse(JSON.stringify(vector)))
  })

  it('hold an answer that verifies for its question, and for no other', () => {
    const { keys, thumbprints, question, credential, answer, answerRefused } = JSON.parse(readFileSync(vectors, 'utf8'))
    const { d: _d, ...jwk } = keys.issuer
    const key = importKey(jwk)
    const expected = {
      keys: { find: () => key },
      issuer: ISSUER_NAME,
      jkt: thumbprints.pep,
      nonce: question.nonce,
      credential,
    }
    expect(verifyRedemption(answer, expected)).toMatchObject({ active: true, rev: 3 })
    expect(verifyRedemption(answerRefused, expected)).toEqual({ active: false, rev: 3, reason: 'credential.replayed' })
    for (const other of [{ nonce: 'x' }, { jkt: thumbprints.agent }, { credential: 'x' }, { issuer: 'x' }])
      expect(verifyRedemption(answer, { ...expected, ...other })).toBeUndefined()
  })
})

const ISSUER_NAME = 'https://unbearer.example'

const CHECK = `
import json, sys
import redeem as r
v = json.load(open(sys.argv[1]))
q = v["question"]
body = v["received"]["body"].encode()
action = {"method": v["received"]["method"], "target": v["received"]["target"], "contentType": v["received"]["contentType"], "contentDigest": r.content_digest(body)}
assert action == v["action"] and r.jcs(action).decode() == v["canonicalAction"]
assert r.action_digest(action, v["salt"]) == v["digest"]
assert all(r.thumbprint(v["keys"][name]) == v["thumbprints"][name] for name in v["keys"])
signed = r.sign(v["keys"]["pep"], "/redeem", q["body"].encode(), q["nonce"], q["created"])
assert {name: signed[name] for name in q["headers"]} == q["headers"]
keys = {v["thumbprints"]["issuer"]: v["keys"]["issuer"]["x"]}
expected = {"aud": v["thumbprints"]["pep"], "nonce": q["nonce"], "ath": r.b64(r.sha(v["credential"].encode()))}
assert r.read_answer(v["answer"], "https://unbearer.example", keys, expected) is True
assert not r.read_answer(v["answerRefused"], "https://unbearer.example", keys, expected)
assert not r.read_answer(v["answer"], "https://unbearer.example", keys, expected | {"nonce": "other"})
assert not r.read_answer(v["answer"], "https://a.example", keys, expected)
print("ok")
`

describe.skipIf(!hasPython)('a resource server in Python', () => {
  let at: Installation
  let api: ReturnType<typeof spawn>
  let origin = ''

  beforeAll(async () => {
    at = await createInstallation({
      upstream: { url: 'http://127.0.0.1:9/mcp' },
      yaml: ORDERS_YAML,
      grant: ORDERS_GRANT,
    })
    await acceptOrders(at)
    const key = join(at.dir, 'keys', 'pep.jwk')
    writeFileSync(key, JSON.stringify(at.jwks.pep), { mode: 0o600 })
    const port = await findPort()
    origin = `http://127.0.0.1:${port}`
    const settings = { issuer: ISSUER, server: at.origin, origin, key, port }
    api = spawn('python3', ['server.py', JSON.stringify(settings)], {
      cwd: example,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (api.stdout === null) throw new Error('no output')
    await once(createInterface(api.stdout), 'line')
  })

  afterAll(async () => {
    api.kill()
    await at.close()
  })

  it('redeems at most 40 lines long', () => {
    expect(readFileSync(join(example, 'redeem.py'), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(40)
  })

  it('computes the vectors', () => {
    const { stdout, stderr } = spawnSync('python3', ['-c', CHECK, vectors], { cwd: example, encoding: 'utf8' })
    expect([stdout, stderr]).toEqual(['ok\n', ''])
  })

  it('takes a credential once, and for nothing else', async () => {
    const { txn } = await at.openTask('look at order 7 and note on it that it is urgent')
    const sent: RequestInit[] = []
    const early: number[] = []
    const watched: typeof fetch = async (input, init = {}) => {
      const url = input instanceof Request ? input.url : String(input)
      if (!url.startsWith(origin)) return fetch(input, init)
      sent.push(init)
      early.push((await fetch(url.replace('/7', '/8'), init)).status)
      early.push((await fetch(`${url}?all=1`, init)).status)
      if (init.method === 'POST') early.push((await fetch(url, { ...init, body: '{"text":"free"}' })).status)
      return fetch(input, init)
    }
    const agent = createActionFetch({ key: at.keys.agent, url: at.origin, txn, audience: ORDERS, fetch: watched })
    const read = await agent(`${origin}/orders/7`, { intent: 'read: the user asked about order 7' })
    expect([read.status, await read.json()]).toEqual([200, { for: 'user/alice', body: '' }])
    const body = '{"text":"urgent"}'
    const headers = { 'content-type': 'application/json' }
    const intent = 'write: the user asked to note on order 7 that it is urgent'
    const wrote = await agent(`${origin}/orders/7/notes`, { method: 'POST', headers, body, intent })
    expect([wrote.status, await wrote.json()]).toEqual([200, { for: 'user/alice', body }])
    expect(early).toEqual([401, 401, 401, 401, 401])
    expect((await fetch(`${origin}/orders/7/notes`, sent[1])).status).toBe(401)
    expect((await fetch(`${origin}/orders/7`)).status).toBe(401)
    const outcomes = (await at.entries()).filter((entry) => entry.kind === 'outcome')
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['redeemed', 'redeemed'])
  })
})
