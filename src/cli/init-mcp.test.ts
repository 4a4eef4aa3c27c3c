import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { assert, constantFrom, dictionary, jsonValue, oneof, property } from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { runWith } from '../../test/support/run-cli.ts'
import { toPlaces, toUnwrapped } from './client-settings.ts'
import { findSpan, withMember } from './json-span.ts'

const SETTINGS = `{
    "theme": "dark",  "big": 12345678901234567890, "half": 1.0,
    "mcpServers": {
        "files": { "command": "npx", "args": ["-y", "some-server", "/tmp"], "env": { "KEY": "k-5d1c80" }, "disabled": false },
        "web": { "type": "http", "url": "https://mcp.example/mcp" }
    },
    "last": [ 1,2 ]
}
`

let dir = ''
let file = ''

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-settings-'))
  file = join(dir, 'claude.json')
})

afterEach(() => rmSync(dir, { recursive: true }))

const run = async (...args: readonly string[]) =>
  runWith(
    { cwd: dir, env: { PATH: process.env['PATH'], HOME: dir } },
    'init',
    'mcp',
    '--client',
    'claude-desktop',
    '--file',
    file,
    ...args,
  )

describe('init mcp', () => {
  it('wraps what has a command, keeps everything else to the byte, and takes it off again', async () => {
    writeFileSync(file, SETTINGS, { mode: 0o600 })
    const wrapped = await run()
    expect(wrapped.out).toContain('`files` is guarded from the next start')
    expect(wrapped.out).toContain('`web` has no command')
    const text = readFileSync(file, 'utf8')
    const read: { mcpServers: Record<string, { command: string; args: string[]; env: unknown; disabled: unknown }> } =
      JSON.parse(text)
    expect(read.mcpServers['files']?.args.slice(-6)).toEqual(['files', '--', 'npx', '-y', 'some-server', '/tmp'])
    expect(read.mcpServers['files']).toMatchObject({ env: { KEY: 'k-5d1c80' }, disabled: false })
    for (const kept of [
      '"theme": "dark",  "big": 12345678901234567890, "half": 1.0',
      '"web": { "type": "http"',
      '"last": [ 1,2 ]',
    ])
      expect(text).toContain(kept)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const [backup = ''] = readdirSync(dir).filter((name) => name.endsWith('.before-unbearer'))
    expect(readFileSync(join(dir, backup), 'utf8')).toBe(SETTINGS)
    expect(statSync(join(dir, backup)).mode & 0o777).toBe(0o600)

    expect((await run()).out).toContain('`files` is guarded already')
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(readdirSync(dir).filter((name) => name.endsWith('.before-unbearer'))).toHaveLength(1)

    await run('--undo')
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(JSON.parse(SETTINGS))
  })

  it('only shows with --print, without what `env` holds', async () => {
    writeFileSync(file, SETTINGS)
    const shown = await run('--print')
    expect(shown.out).toContain('some-server')
    expect(shown.out + shown.err).not.toContain('k-5d1c80')
    expect(readFileSync(file, 'utf8')).toBe(SETTINGS)
    expect(readdirSync(dir)).toHaveLength(1)
  })

  it('adds a server where there is no file', async () => {
    expect((await run('--name', 'notes', '--', 'npx', '-y', 'notes-server')).exit).toBe(0)
    const read: unknown = JSON.parse(readFileSync(file, 'utf8'))
    expect(read).toMatchObject({ mcpServers: { notes: { command: process.execPath } } })
    expect((await run('--name', 'notes', '--', 'npx', '-y', 'notes-server')).out).toContain('guarded already')
    expect((await run('--name', 'notes', '--', 'npx', '-y', 'another')).exit).toBe(2)
  })

  it.each([
    ['comments', '{ // mine\n "mcpServers": {} }'],
    ['a key twice', '{"mcpServers":{"a":{"command":"x"},"a":{"command":"y"}}}'],
    ['a list', '[]'],
    ['half a file', '{"mcpServers": {'],
    ['servers that are a list', '{"mcpServers": []}'],
  ])('leaves a file with %s as it is', async (_what, text) => {
    writeFileSync(file, text)
    expect((await run('--name', 'n', '--', 'npx', 'n')).exit).toBe(2)
    expect(readFileSync(file, 'utf8')).toBe(text)
    expect(readdirSync(dir)).toHaveLength(1)
  })

  it('writes through no link', async () => {
    const target = join(dir, 'elsewhere.json')
    writeFileSync(target, SETTINGS)
    symlinkSync(target, file)
    const refused = await run()
    expect(refused).toMatchObject({ exit: 2 })
    expect(refused.err).toContain('leads elsewhere')
    expect(readFileSync(target, 'utf8')).toBe(SETTINGS)
    rmSync(file)
    symlinkSync(join(dir, 'not-there'), file)
    expect((await run('--name', 'n', '--', 'npx', 'n')).exit).toBe(2)
    expect(existsSync(join(dir, 'not-there'))).toBe(false)
  })

  it('leaves a folder that it may not write as it is', async () => {
    writeFileSync(file, SETTINGS)
    if (process.getuid?.() === 0) return
    chmodSync(dir, 0o500)
    expect((await run()).exit).toBe(2)
    chmodSync(dir, 0o700)
    expect(readFileSync(file, 'utf8')).toBe(SETTINGS)
  })

  it('knows its own wrapper and no other', () => {
    expect(toUnwrapped(['/n/node', '/u/dist/cli/main.js', 'mcp', '--name', 'a', '--', 'npx', 'b'])).toEqual([
      'npx',
      'b',
    ])
    expect(toUnwrapped(['npx', '-y', 'unbearer', 'mcp', '--', 'npx', 'b'])).toEqual(['npx', 'b'])
    expect(toUnwrapped(['npx', 'other', 'mcp', '--', 'b'])).toBeUndefined()
    expect(toUnwrapped(['unbearer', 'mcp', '--'])).toBeUndefined()
  })

  it('knows where each client looks', () => {
    expect(toPlaces('cursor', '/p', '/h')).toEqual({ project: '/p/.cursor/mcp.json', user: '/h/.cursor/mcp.json' })
    expect(toPlaces('claude-code', '/p', '/h')).toEqual({ project: '/p/.mcp.json', user: '/h/.claude.json' })
  })
})

describe('withMember', () => {
  const names = constantFrom('a', 'b"', '\\', 'é', '{', '__proto__x', '')
  const documents = dictionary(names, oneof(jsonValue(), dictionary(names, jsonValue())))

  it('changes one member and nothing else', () => {
    assert(
      property(documents, names, jsonValue(), constantFrom(0, 2, '\t'), (made, name, value, space) => {
        const document: Record<string, unknown> = JSON.parse(JSON.stringify(made))
        const text = JSON.stringify(document, null, space)
        expect(JSON.parse(withMember(text, [name], value))).toEqual({
          ...document,
          [name]: JSON.parse(JSON.stringify(value)),
        })
        const span = findSpan(text, [name])
        const found: unknown = span === undefined ? undefined : JSON.parse(text.slice(span.start, span.end))
        const [known]: unknown[] = JSON.parse(JSON.stringify([Object.hasOwn(document, name) ? document[name] : null]))
        expect(found ?? null).toEqual(known)
      }),
    )
  })
})
