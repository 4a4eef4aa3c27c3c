/**
 * What `deploy/` ships, used as far as can be without an engine or an init system: the unit is read by systemd where there is
 * one, the steps of the Dockerfile are done in a folder and what they make is started, asked for its health, and stopped.
 * Seen to fail: with a folder that the image does not copy, with the hardening of the unit taken out, and with a health check
 * that always says yes.
 */
import { spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

import { findCommand, parseCall } from '../../src/cli/parse.ts'
import { COMMANDS } from '../../src/cli/commands.ts'

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const ROOT = join(import.meta.dirname, '..', '..')
const UNIT = join(ROOT, 'deploy', 'unbearer.service')
const isThere = (command: string): boolean => spawnSync(command, ['--version']).error === undefined
const hasSystemd = isThere('systemd-analyze')
const hasHadolint = isThere('hadolint')
for (const [there, name] of [
  [hasSystemd, 'systemd-analyze'],
  [hasHadolint, 'hadolint'],
] as const)
  if (!there) process.stderr.write(`skipped: no \`${name}\` on this machine\n`)

let work: string
beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'unbearer-deploy-'))
})
afterAll(() => rmSync(work, { recursive: true, force: true }))

const problemsOf = (words: readonly string[]): string => {
  const found = findCommand(COMMANDS, words)
  if (found === undefined) return `there is no ${words.join(' ')}`
  parseCall(found)
  return ''
}

describe('the systemd unit', () => {
  const text = readFileSync(UNIT, 'utf8')
  const valueOf = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(text)?.[1] ?? ''

  it('starts a command that exists, and waits longer than it drains', () => {
    const [program, ...words] = valueOf('ExecStart').split(' ')
    expect(program).toBe('/usr/bin/unbearer')
    expect(problemsOf(words)).toBe('')
    const drain = Number(/--drain (\d+)s/.exec(text)?.[1])
    expect(Number.parseInt(valueOf('TimeoutStopSec'), 10)).toBeGreaterThan(drain + 7)
    expect(valueOf('ExecReload')).toBe('/bin/kill -HUP $MAINPID')
  })

  it.skipIf(!hasSystemd)('is one that systemd reads without a complaint, and finds hardened', () => {
    const copy = join(work, 'unbearer.service')
    writeFileSync(copy, text.replace('/usr/bin/unbearer', '/bin/true'))
    const read = spawnSync('systemd-analyze', ['verify', '--man=no', copy], { encoding: 'utf8' })
    expect([read.stderr, read.status]).toEqual(['', 0])
    const security = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=20', copy], {
      encoding: 'utf8',
    })
    expect([security.status, security.stdout.split('\n').at(-2)]).toEqual([0, expect.stringContaining('OK')])
  })
})

interface Instruction {
  readonly name: string
  readonly rest: string
}

/** Lines that end in a backslash go on; comments and empty lines are none. */
function instructionsOf(text: string): readonly Instruction[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', rest = ''] = /^([A-Z]+) +(.*)$/.exec(line) ?? []
      return { name, rest }
    })
}

const INSTRUCTIONS = instructionsOf(readFileSync(join(ROOT, 'deploy', 'Dockerfile'), 'utf8'))
const last = (name: string): string => INSTRUCTIONS.findLast((each) => each.name === name)?.rest ?? ''
const words = (text: string): string[] => JSON.parse(text.replace(/^.*?\[/, '['))

interface Stage {
  readonly root: string
  dir: string
}

/** Does one instruction. What needs a network is replaced by what this clone has installed, and nothing else is left out. */
function follow(stages: Map<string, Stage>, stage: Stage, { name, rest }: Instruction): void {
  const inside = (path: string): string => join(stage.root, path.startsWith('/') ? path : join(stage.dir, path))
  if (name === 'WORKDIR') {
    stage.dir = rest
    mkdirSync(inside('.'), { recursive: true })
  } else if (name === 'COPY') {
    const [, from, paths = ''] = /^(?:--from=(\S+) )?(.*)$/.exec(rest) ?? []
    const sources = paths.split(' ')
    const to = sources.pop() ?? ''
    for (const source of sources) {
      const origin = from === undefined ? join(ROOT, source) : join(stages.get(from)?.root ?? '', source)
      const target = sources.length > 1 || to.endsWith('/') ? inside(join(to, source)) : inside(to)
      mkdirSync(dirname(target), { recursive: true })
      cpSync(origin, target, { recursive: true, filter: (path) => !path.endsWith('.test.ts') })
    }
  } else if (name === 'RUN') run(rest, inside)
}

function run(line: string, inside: (path: string) => string): void {
  for (const command of line.split(' && ')) {
    if (command.startsWith('npm ci ')) symlinkSync(join(ROOT, 'node_modules'), inside('node_modules'))
    else if (command === 'npm run build') {
      const { status, stderr } = spawnSync('npm', ['run', '-s', 'build'], { cwd: inside('.'), encoding: 'utf8' })
      expect([stderr, status]).toEqual(['', 0])
    } else expect(command).toMatch(/^npm prune /)
  }
}

describe('the Dockerfile', () => {
  it.skipIf(!hasHadolint)('passes hadolint', () => {
    const { stdout, status } = spawnSync('hadolint', [join(ROOT, 'deploy', 'Dockerfile')], { encoding: 'utf8' })
    expect([stdout, status]).toEqual(['', 0])
  })

  it('is of the Node that we test with, as a user without a name, and takes signals itself', () => {
    const { devDependencies }: { devDependencies: Record<string, string> } = JSON.parse(
      readFileSync(join(ROOT, 'package.json'), 'utf8'),
    )
    const bases = INSTRUCTIONS.filter(({ name }) => name === 'FROM').map(({ rest }) => rest.split(' ')[0])
    expect(new Set(bases)).toEqual(new Set([`node:${devDependencies['node']}-bookworm-slim`]))
    expect(last('USER')).toMatch(/^[1-9][0-9]+:[1-9][0-9]+$/)
    expect(last('STOPSIGNAL')).toBe('SIGTERM')
    // In the form of a list: a shell in between would keep the signal for itself.
    for (const name of ['ENTRYPOINT', 'CMD']) expect(words(last(name)).length).toBeGreaterThan(0)
    expect(problemsOf(words(last('CMD')))).toBe('')
    expect(problemsOf(words(last('HEALTHCHECK')).slice(2))).toBe('')
  })

  it('copies nothing that its list of what is not ignored does not name', () => {
    const ignored = readFileSync(join(ROOT, 'deploy', 'Dockerfile.dockerignore'), 'utf8').split('\n')
    expect(ignored).toContain('*')
    const copied = INSTRUCTIONS.filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from')).flatMap(
      ({ rest }) => rest.split(' ').slice(0, -1),
    )
    expect(copied.filter((path) => !ignored.includes(`!${path}`))).toEqual([])
    expect(copied.filter((path) => !existsSync(join(ROOT, path)))).toEqual([])
  })

  it('makes an image that starts, is ready, and stops when it is asked', async () => {
    const stages = new Map<string, Stage>()
    let stage: Stage = { root: '', dir: '/' }
    for (const instruction of INSTRUCTIONS) {
      if (instruction.name === 'FROM') {
        const name = / AS (\S+)$/.exec(instruction.rest)?.[1] ?? 'final'
        stage = { root: join(work, name), dir: '/' }
        stages.set(name, stage)
      } else follow(stages, stage, instruction)
    }
    const root = stages.get('final')?.root ?? ''
    expect(globSync(join(root, 'app/**/*.jwk'))).toEqual([])
    const here = (all: readonly string[]): string[] =>
      all.map((word) => (/^\/(app|var)\//.test(word) ? join(root, word) : word))
    const [program = '', ...entry] = here(words(last('ENTRYPOINT')))
    expect(program).toBe('node')
    const state = join(root, last('VOLUME'))
    const start = (...more: readonly string[]) => [process.execPath, [...entry, ...more]] as const
    expect(spawnSync(...start('init', '--dir', state)).status).toBe(0)
    const file = join(state, 'unbearer.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace('8700', String(await freePort())))
    const healthy = (): number | null => spawnSync(...start(...here(words(last('HEALTHCHECK'))).slice(2))).status
    expect(healthy()).toBe(2)
    const server = spawn(...start(...here(words(last('CMD')))), { stdio: 'ignore' })
    const ended = new Promise<number | null>((resolve) => {
      server.once('exit', resolve)
    })
    try {
      await vi.waitFor(() => expect(healthy()).toBe(0), { timeout: 60_000, interval: 500 })
    } finally {
      server.kill('SIGTERM')
    }
    expect(await ended).toBe(0)
  })
})

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address: AddressInfo | string | null = probe.address()
  await new Promise<void>((resolve) => probe.close(() => resolve()))
  return typeof address === 'object' && address !== null ? address.port : 0
}
