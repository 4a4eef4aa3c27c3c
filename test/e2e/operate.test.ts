/**
 * @module
 * `docs/guide/operate.md`, followed from top to bottom in an empty folder against what is built (`dist`): every file saved,
 * every command typed into one shell, every exit code and everything that is shown compared. Then what the page is for is
 * looked at from the outside; and its part on upgrading is followed once more with a store of the version before.
 *
 * Broken once on purpose, and the test that fell:
 *
 * | broken on purpose                                  | fell                                                         |
 * | -------------------------------------------------- | ------------------------------------------------------------ |
 * | the page without its `kill -HUP`                   | shows what it says …; goes from a wrong refusal …            |
 * | `cli/cases.ts` `policy test` never fails           | shows what it says …                                         |
 * | `config/restore.ts` the journal outside is left    | shows what it says …; comes back … still stopped             |
 * | `stores/sqlite-schema.ts` no copy is made          | brings the store forward, …                                  |
 */
import { createServer } from 'node:net'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { copySchemaOne } from '../support/schema-1.ts'
import {
  type Block,
  changeYaml,
  openShell,
  readBlocks,
  type Shell,
  toExpectedCodes,
  toPattern,
} from '../support/page-shell.ts'

const root = join(import.meta.dirname, '..', '..')
const isBuilt = existsSync(join(root, 'dist', 'cli', 'main.js')) && process.platform !== 'win32'
if (!isBuilt) console.info('skipped: `npm run build` has not built dist/cli')

const blocks = readBlocks(join(root, 'docs', 'guide', 'operate.md'))
let dir: string
let port: number

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-operate-'))
  for (const name of ['bin', 'page', 'shell', 'old-shell']) mkdirSync(join(dir, name))
  symlinkSync(join(root, 'dist', 'cli', 'main.js'), join(dir, 'bin', 'unbearer'))
  port = await findPort()
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

/** The port of the page may be taken on a machine where tests run side by side. */
async function findPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return address.port
}

function open(cwd: string, scratch: string): Shell {
  const path = [join(dir, 'bin'), join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter)
  return openShell(cwd, join(dir, scratch), { ...process.env, PATH: path })
}

interface Followed {
  readonly block: Block
  readonly failed: readonly number[]
  readonly shown: string
}

/** Every block in order; what it shows may stand in a block after it. */
async function follow(shell: Shell, list: readonly Block[]): Promise<readonly Followed[]> {
  const followed: Followed[] = []
  for (const block of list) {
    const text = block.text.replaceAll('8700', String(port))
    const [, saved] = /^(?:\/\/|#) ([\w-]+\.(?:mjs|sh|yaml))\n/.exec(text) ?? []
    const [, changed] = /^# in ([\w.]+)\n/.exec(text) ?? []
    if (saved !== undefined) writeFileSync(join(await shell.cwd(), saved), text)
    else if (changed !== undefined) change(join(await shell.cwd(), changed), text)
    else if (block.language === 'sh') followed.push({ block, ...(await shell.type(text)) })
  }
  return followed
}

/** As the page says, and with the port and the time that a busy machine needs. */
function change(path: string, text: string): void {
  const yaml = changeYaml(readFileSync(path, 'utf8'), text)
  writeFileSync(path, yaml.replace('8700', String(port)).replace('deadline: 50ms', 'deadline: 5s'))
}

/** Where the page is not right, for a person who reads why the test fell. */
function toFaults(followed: readonly Followed[]): readonly string[] {
  return followed.flatMap(({ block, failed, shown }) => {
    const codes = toExpectedCodes(block.text)
    const next = blocks[blocks.indexOf(block) + 1]
    const isRight = next?.language !== 'text' || toPattern(next.text).test(shown)
    if (isRight && failed.join() === codes.join()) return []
    return [
      `operate.md:${block.line} (${block.part}): exit codes ${failed.join()} for ${codes.join()}, shown:\n${shown}`,
    ]
  })
}

/** What was shown in a part of the page. */
function partOf(followed: readonly Followed[], part: string): string {
  const found = followed.filter(({ block }) => block.part.startsWith(part)).map(({ shown }) => shown)
  if (found.length === 0) throw new Error(`no part \`${part}\``)
  return found.join('')
}

describe.skipIf(!isBuilt)('the page for whoever runs it', () => {
  let shell: Shell
  let followed: readonly Followed[]
  beforeAll(async () => {
    shell = open(join(dir, 'page'), 'shell')
    followed = await follow(shell, blocks)
  }, 480_000)
  afterAll(async () => shell.close())

  it('shows what it says and ends as it says, command by command', () => {
    expect(followed.length).toBeGreaterThan(30)
    expect(toFaults(followed)).toEqual([])
  })

  it('goes from a wrong refusal, explained, recorded and tested, to the same call done', () => {
    expect(partOf(followed, '2.')).toMatch(/"decision":"challenge","reason":"context\.untrusted-argument"/)
    expect(partOf(followed, '3.')).toContain('0 passed, 1 failed')
    expect(partOf(followed, '4.')).toContain('{\\"refunded\\":120}')
    expect(partOf(followed, '4.')).toMatch(/"decision":"deny","reason":"scope\.argument"/)
  })

  it('comes back after the machine is lost, with the agent that was stopped still stopped', () => {
    const back = partOf(followed, '7.')
    expect(back).toMatch(/^[12] revocations came back from the journal/m)
    expect(back).toMatch(/revoked/)
    expect(back).toContain('{\\"order\\":7,\\"total\\":120}')
    expect(back).toContain('act: "continuity.restore"')
  })

  it('leaves nothing running', async () => {
    const { shown } = await shell.type('jobs -r\nunbearer ready || echo "code $?"\n')
    expect(shown).toMatch(/^unbearer: nobody answers .*\ncode 2\n$/)
  })
})

describe.skipIf(!isBuilt)('its part on upgrading, with a store of the version before', () => {
  it('brings the store forward, says so, names the copy that it leaves, and the log verifies', async () => {
    const old = copySchemaOne('http://127.0.0.1:9/mcp')
    writeFileSync(old.file, readFileSync(old.file, 'utf8').replace('127.0.0.1:0', `127.0.0.1:${port}`))
    const shell = open(old.dir, 'old-shell')
    try {
      const part = blocks.filter(({ part: name }) => name.startsWith('6.'))
      const after = part.slice(part.findIndex(({ language }) => language === 'console'))
      const followed = await follow(shell, after)
      expect(toFaults(followed)).toEqual([])
      const said = followed.map(({ shown }) => shown).join('')
      expect(said).toContain('the store was brought from schema 1 to 2')
      expect(said).toMatch(/note {2}`.*unbearer\.db\.schema-1` holds, in the clear, what the store held/)
      expect(said).toMatch(/^intact: 3\d entries/m)
      const { shown } = await shell.type('unbearer audit tail --last 5\nkill "$SERVER"\nwait "$SERVER"\n')
      expect(shown).toContain('control store.upgrade')
    } finally {
      await shell.close()
      old.remove()
    }
  }, 240_000)
})
