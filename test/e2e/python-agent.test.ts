/**
 * The vectors of an agent that signs by itself, and such an agent in Python that shares no line with ours:
 * `examples/python/agent.py`. It skips, with a printed notice, where `python3` or its package `cryptography` is missing.
 */
import { execFile, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { toAgentVector } from '../support/agent-vectors.ts'
import { createInstallation, type Installation } from '../support/installation.ts'
import { startRecordingUpstream, type RecordingUpstream } from '../support/recording-upstream.ts'
import { SERVER } from '../support/tools.ts'

const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'python')
const vectors = join(root, 'docs', 'reference', 'vectors', 'agent.json')
const hasPython = spawnSync('python3', ['-c', 'import cryptography']).status === 0
if (!hasPython) console.info('skipped: python3 with `cryptography` is not here')
const run = promisify(execFile)

describe('the vectors of an agent', () => {
  it('are what the code makes', () => {
    expect(JSON.parse(readFileSync(vectors, 'utf8'))).toEqual(JSON.parse(JSON.stringify(toAgentVector())))
  })
})

const CHECK = `
import json, sys
import agent as a
v = json.load(open(sys.argv[1]))
assert a.thumbprint(v["key"]) == v["thumbprint"]
for r in v["requests"]:
    assert a.plain(json.loads(r["body"])).decode() == r["body"]
    assert a.sign(v["key"], r["method"], r["target"], r["headers"], r["body"].encode(), v["nonce"], v["created"]) == r["headers"] | r["signed"]
print("ok")
`

describe.skipIf(!hasPython)('an agent in Python', () => {
  let at: Installation
  let upstream: RecordingUpstream
  let key = ''

  beforeAll(async () => {
    upstream = await startRecordingUpstream()
    at = await createInstallation({ upstream: { url: upstream.url } })
    key = join(at.dir, 'keys', 'python-agent.jwk')
    writeFileSync(key, JSON.stringify(at.jwks.agent), { mode: 0o600 })
  })
  afterAll(async () => {
    await at.close()
    await upstream.close()
  })

  const call = async (tool: string, given: object, ...more: string[]): Promise<string> => {
    const args = ['agent.py', `${at.origin}/mcp/${SERVER}`, key, tool, JSON.stringify(given), ...more]
    const { stdout } = await run('python3', args, { cwd: example })
    return stdout
  }

  it('is at most 40 lines long', () => {
    expect(readFileSync(join(example, 'agent.py'), 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(40)
  })

  it('signs the vectors', () => {
    const { stdout, stderr } = spawnSync('python3', ['-c', CHECK, vectors], { cwd: example, encoding: 'utf8' })
    expect([stdout, stderr]).toEqual(['ok\n', ''])
  })

  it('calls a tool of an MCP server, and is told why where it may not', async () => {
    const { txn } = await at.openTask('Read record r1')
    const read = await call('read_record', { id: 'r1', unbearer_intent: 'read: the user asked about record r1' }, txn)
    expect(JSON.parse(read)).toMatchObject({ result: { content: [{ type: 'text' }] } })
    expect(upstream.calls.map(({ name }) => name)).toEqual(['read_record'])
    const write = await call('write_record', { id: 'r1', unbearer_intent: 'read: the user asked about record r1' }, txn)
    expect(write).toContain('intent.effect-mismatch')
    expect(upstream.calls).toHaveLength(1)
  })

  it('is not let in with a key that nobody enrolled, or in a task of another', async () => {
    const { txn } = await at.openTask('Read record r1', { actor: 'other' })
    await expect(call('read_record', { id: 'r1' }, txn)).rejects.toThrow('HTTP Error 401')
    key = join(at.dir, 'keys', 'stranger.jwk')
    writeFileSync(key, JSON.stringify(toAgentVector()['key']), { mode: 0o600 })
    await expect(call('read_record', { id: 'r1' })).rejects.toThrow('HTTP Error 40')
  })
})
