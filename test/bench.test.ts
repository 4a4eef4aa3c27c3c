/**
 * @module
 * The bench runs whole, and a figure of something that did not happen never comes out of it. No figure is asserted.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import { assertDone, BODY_BYTES, EFFECTS, runTool, toCall } from '../bench/calls.ts'
import { toMedian } from '../bench/report.ts'
import { readAnswer } from '../bench/wire.ts'

const MAIN = fileURLToPath(new URL('../bench/main.ts', import.meta.url))

const run = async (...args: readonly string[]) => promisify(execFile)(process.execPath, [MAIN, ...args])

const NUMBERS = ['connections', 'toolMs', 'p50Ms', 'p99Ms', 'rps', 'cpuUs'] as const

describe('npm run bench -- --json', () => {
  it('prints the pinned object, with every setup in every cell', { timeout: 120_000 }, async () => {
    const { stdout } = await run('--json', '--seconds', '0.2')
    const report: { readonly rows: readonly Record<string, unknown>[] } = JSON.parse(stdout)
    expect(Object.keys(report)).toEqual(['machine', 'node', 'date', 'rows'])
    expect(report).toMatchObject({ machine: expect.any(String), node: process.version })
    const names = ['setup', 'effect', 'proof', ...NUMBERS].toSorted()
    for (const row of report.rows) {
      expect(Object.keys(row).toSorted()).toEqual(names)
      for (const name of NUMBERS) expect(row[name]).toSatisfy(Number.isFinite)
    }
    const cells = report.rows.map(
      ({ setup, proof, effect, connections, toolMs }) =>
        `${String(setup)} ${String(proof)} ${String(effect)} ${String(connections)} ${String(toolMs)}`,
    )
    const setups = [
      'none none',
      'bearer-eddsa bearer',
      'unbearer signature',
      'bearer-eddsa-gateway bearer',
      'unbearer-gateway signature',
    ]
    const wanted = setups.flatMap((setup) =>
      EFFECTS.flatMap((effect) => ['1 0', '1 1', '16 0', '16 1'].map((rest) => `${setup} ${effect} ${rest}`)),
    )
    expect(cells.toSorted()).toEqual(wanted.toSorted())
  })

  it('runs no setup that it does not know', async () => {
    await expect(run('--setup', 'bearer')).rejects.toMatchObject({ code: 2, stdout: '' })
    await expect(run('--seconds', 'soon')).rejects.toMatchObject({ code: 2, stdout: '' })
    expect((await run('--help')).stdout).toContain('--setup NAME')
  })
})

const look = (status: number, body: string) => () => assertDone('unbearer', 7, status, body)

describe('an answer', () => {
  const result = runTool('find_record', { text: 'note-000000007 and so on' })
  const done = JSON.stringify({ jsonrpc: '2.0', id: 7, result })

  it('counts when it is the success of this very call', () => {
    expect(look(200, done)).not.toThrow()
    for (const effect of EFFECTS) expect(toCall(effect, 7)).toHaveLength(BODY_BYTES)
  })

  it('fails the bench when it is a refusal, an error or the answer to another call', () => {
    const refused = JSON.stringify({ jsonrpc: '2.0', id: 7, result: { ...result, isError: true } })
    const error = JSON.stringify({ jsonrpc: '2.0', id: 7, error: { code: -32000, message: 'no' } })
    for (const body of [refused, error, done.replace('000000007', '000000008'), done.replace('"id":7', '"id":8'), '']) {
      expect(look(200, body)).toThrow('did not do what it was asked')
    }
    expect(look(403, done)).toThrow('status 403')
  })

  it('is read whole, however it is framed and cut', () => {
    const sized = `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}`
    const chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n`
    for (const text of [sized, chunked]) {
      const bytes = Buffer.from(text)
      expect(readAnswer(bytes)).toEqual({ status: 200, body: '{}' })
      for (let end = 0; end < bytes.length; end += 1) expect(readAnswer(bytes.subarray(0, end))).toBeUndefined()
    }
  })
})

const MCP = fileURLToPath(new URL('../bench/mcp.ts', import.meta.url))

describe('npm run bench:mcp -- --json', () => {
  it('measures every road, through and direct, and memory on the way', { timeout: 120_000 }, async () => {
    const args = [MCP, '--json', '--calls', '64', '--rounds', '1', '--memory', '160']
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const { rows, memory }: { rows: Record<string, unknown>[]; memory: { mib: object }[] } = JSON.parse(stdout)
    const cells = rows.map(({ transport, way, clients }) => [transport, way, clients].join(' '))
    const wanted = ['stdio', 'http'].flatMap((transport) =>
      [1, 16, 64].flatMap((clients) => [`${transport} direct ${clients}`, `${transport} through ${clients}`]),
    )
    expect(cells).toEqual(wanted)
    for (const row of rows) {
      for (const name of ['p50Ms', 'p99Ms', 'callsPerSecond']) expect(row[name]).toSatisfy(Number.isFinite)
    }
    expect(memory.map(({ mib }) => Object.keys(mib))).toEqual(
      Array(2).fill(Array.from({ length: 11 }, (_, i) => `${i * 16}`)),
    )
  })
})

describe('the median', () => {
  it('lies in the middle', () => {
    expect(toMedian([3, 1, 2])).toBe(2)
    expect(toMedian([4, 1, 2, 3])).toBe(2.5)
  })
})
