/**
 * Keys under a passphrase, and who may not give it: a tool server that the gateway started, whatever it does to its own
 * environment, a pipe that it holds, and an agent beside its bridge. Seen to fail: with the ancestors left out, with the
 * holders of the pipe left out, with the parents of bridges left out, and with the echo left on.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { createStdioConnection } from '../../src/adapters/mcp/stdio-upstream.ts'
import { unbearer } from '../support/run-cli.ts'

// Many processes, one after the other, on machines that do other things beside.
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')
const PASSPHRASE = 'correct horse battery'
const isLinux = process.platform === 'linux'
let dir: string
let config: string
let enrolled: Ended

interface Ended {
  readonly exit: number | null
  readonly said: string
}

const quote = (text: string): string => `'${text}'`
const command = (...args: readonly string[]): string =>
  [process.execPath, MAIN, ...args, '--config', config].map(quote).join(' ')

/** A line of a shell, as a person would type it. */
async function shell(line: string): Promise<Ended> {
  const child = spawn('bash', ['-c', line], { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  const exit = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { exit, said: said.join('') }
}

const sealed = (): string => join(dir, 'sealed.jwk')
const asking = (...more: readonly string[]): string => command('approvals', 'list', '--key', sealed(), ...more)

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'unbearer-passphrase-'))
  config = join(dir, 'i', 'unbearer.yaml')
  await unbearer('init', '--dir', join(dir, 'i'))
  enrolled = await shell(
    `printf '%s\\n' '${PASSPHRASE}' | ${command('approvers', 'enrol', 'ann', '--new', sealed(), '--passphrase-fd', '0')}`,
  )
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe('a key under a passphrase', () => {
  it('is sealed in its file, for its owner only', () => {
    expect(enrolled).toMatchObject({ exit: 0, said: expect.stringContaining('sealed') })
    const text = readFileSync(sealed(), 'utf8')
    expect(text).toMatch(/^[\w-]+(\.[\w-]+){4}\n$/)
    expect(statSync(sealed()).mode & 0o777).toBe(0o600)
  })

  it('signs with the passphrase from any descriptor, and not without it', async () => {
    expect(await shell(`printf '%s' '${PASSPHRASE}' | ${asking('--passphrase-fd', '0')}`)).toMatchObject({ exit: 0 })
    expect(await shell(`${asking('--passphrase-fd', '3')} 3<<< '${PASSPHRASE}'`)).toMatchObject({ exit: 0 })
    const wrong = await shell(`${asking('--passphrase-fd', '0')} <<< 'another one'`)
    expect(wrong).toMatchObject({ exit: 2, said: expect.stringContaining('cannot be opened') })
    expect(wrong.said).not.toContain('another one')
    expect(await shell(asking())).toMatchObject({ exit: 2, said: expect.stringContaining('--passphrase-fd') })
    expect(await shell(asking('--passphrase-fd', '9'))).toMatchObject({ exit: 2 })
    expect(await shell(asking('--passphrase-fd', 'x'))).toMatchObject({ exit: 2 })
    expect(await shell(`${asking('--passphrase-fd', '0')} < /dev/null`)).toMatchObject({ exit: 2 })
  })

  it('leaves no file behind when the passphrase is too short', async () => {
    const file = join(dir, 'short.jwk')
    const made = await shell(`${command('approvers', 'enrol', 'bob', '--new', file, '--passphrase-fd', '0')} <<< short`)
    expect(made).toMatchObject({ exit: 2, said: expect.stringContaining('at least 8') })
    expect(existsSync(file)).toBe(false)
  })

  it.skipIf(spawnSync('script', ['--version']).status !== 0)(
    'is asked for on a terminal, without showing it',
    async () => {
      const child = spawn('script', ['-qec', asking(), '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] })
      let said = ''
      let typed = false
      child.stdout.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (!typed && said.includes('passphrase: ')) {
          typed = true
          child.stdin.write(`${PASSPHRASE}x\u007f\r`)
        }
      })
      const exit = await new Promise<number | null>((resolve) => child.on('close', resolve))
      expect([exit, said]).toEqual([0, expect.stringContaining('nothing waits')])
      expect(said).not.toContain(PASSPHRASE)
      expect(said).not.toContain('correct')
    },
  )
})

/** Runs a line as a tool server of the gateway would, started by the very code that starts them. */
async function asToolServer(line: string): Promise<Ended> {
  const out = join(dir, `out-${Math.random().toString(36).slice(2)}`)
  const connection = createStdioConnection(
    {
      name: 'orders',
      kind: 'mcp',
      command: ['bash', '-c', `( ${line} ) > ${out} 2>&1 < /dev/null; echo $? > ${out}.exit; read`],
    },
    { limit: 1_000, onSignal: () => undefined, onProblem: () => undefined },
  )
  try {
    for (let tries = 0; tries < 600 && !existsSync(`${out}.exit`); tries += 1) await pause(50)
    await pause(50)
    return { exit: Number(readFileSync(`${out}.exit`, 'utf8')), said: readFileSync(out, 'utf8') }
  } finally {
    await connection.close()
  }
}

const pause = async (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

const feed = (line: string): string => `printf '%s\\n' '${PASSPHRASE}' | ${line}`

const REFUSED = { exit: 1, said: expect.stringContaining('a person has to run it') }

describe('a tool server that the gateway started', () => {
  it('does not act as an operator or approver, with a passphrase or without', async () => {
    expect(await asToolServer(feed(asking('--passphrase-fd', '0')))).toMatchObject(REFUSED)
    expect(await asToolServer(command('keys', 'list'))).toMatchObject(REFUSED)
    expect(
      await asToolServer(command('revoke', 'subject', 'eve', '--server', 'http://127.0.0.1:9', '--key', sealed())),
    ).toMatchObject(REFUSED)
  })

  it.skipIf(!isLinux)('does not get around it by taking off the mark', async () => {
    expect(await asToolServer(feed(`env -i ${asking('--passphrase-fd', '0')}`))).toMatchObject(REFUSED)
    expect(await asToolServer(`env -u UNBEARER_SPAWNED setsid ${command('keys', 'list')}`)).toMatchObject(REFUSED)
  })

  it.skipIf(!isLinux)('does not speak through a pipe that somebody else reads', async () => {
    const fifo = join(dir, 'fifo')
    spawnSync('mkfifo', [fifo])
    const speaking = asToolServer(`exec 5>${fifo}; printf '%s\\n' '${PASSPHRASE}' >&5; sleep 20 >&5`)
    const heard = await shell(`${asking('--passphrase-fd', '0')} < ${fifo}`)
    expect(heard).toMatchObject(REFUSED)
    spawnSync('bash', ['-c', `exec 6<>${fifo}`])
    await speaking
  })
})

describe.skipIf(!isLinux)('an agent beside its bridge', () => {
  it('gives no passphrase', async () => {
    const script = join(dir, 'agent.mjs')
    writeFileSync(
      script,
      `import { spawn, spawnSync } from 'node:child_process'
       const bridge = spawn(process.execPath, [${JSON.stringify(MAIN)}, 'connect', 'http://127.0.0.1:9/mcp/x', '--key',
         ${JSON.stringify(join(dir, 'i', 'keys', 'host.jwk'))}, '--stdio'], { stdio: ['pipe', 'ignore', 'ignore'] })
       const asked = spawnSync('bash', ['-c', ${JSON.stringify(`printf '%s\\n' '${PASSPHRASE}' | ${asking('--passphrase-fd', '0')}`)}])
       bridge.kill('SIGKILL')
       process.stdout.write(String(asked.stderr))
       process.exitCode = asked.status ?? 9`,
    )
    expect(await shell(`${quote(process.execPath)} ${quote(script)}`)).toMatchObject(REFUSED)
  })
})
