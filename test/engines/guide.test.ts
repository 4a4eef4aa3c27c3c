/**
 * @module
 * `docs/guide/engines.md` and `examples/engines` as a new user has them, against real servers and against what is built: the example is
 * started with its own `npm start`; the page is followed from an empty folder, every file saved, every command run, everything
 * shown compared. Only ports and the place of Topaz's certificate are put in.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { EXAMPLES, installFramework } from '../adapters/install-framework.ts'
import { findEngine, findPort } from '../support/engine-servers.ts'
import { startTopaz, type TopazServer } from '../support/topaz-server.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'engines')
const opa = findEngine('opa')
const topazd = findEngine('topazd')
const isBuilt = existsSync(join(root, 'dist', 'cli', 'main.js'))
if (!isBuilt) console.info('skipped: `npm run build` has not built dist')
const installed = isBuilt && opa !== undefined ? await installFramework(example, EXAMPLES) : undefined

interface Block {
  readonly section: string
  readonly language: string
  readonly text: string
}

function readPage(): readonly Block[] {
  const page = readFileSync(join(root, 'docs', 'guide', 'engines.md'), 'utf8')
  return page.split(/^## /m).flatMap((part) => {
    const section = part.slice(0, part.indexOf('\n'))
    return [...part.matchAll(/^```([a-z]+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => {
      return { section, language, text }
    })
  })
}

/** A terminal for each long-running command, and one for the others, which stays in the folder that it goes to. */
interface Desk {
  cwd: string
  shown: string
  readonly running: Map<string, ChildProcess>
  readonly env: NodeJS.ProcessEnv
  /** What stands in place of what the page says. */
  values: Readonly<Record<string, string>>
}

/** Does what a block says; for one that shows something, gives it beside what was shown. */
async function follow(
  desk: Desk,
  { language, text }: Block,
): Promise<readonly [said: string, seen: string] | undefined> {
  const filled = Object.entries(desk.values).reduce((all, [name, value]) => all.replaceAll(name, value), text)
  const [, file] = /^(?:\/\/|#) ([\w-]+\.\w+)\n/.exec(filled) ?? []
  if (file !== undefined) save(join(desk.cwd, file), filled)
  else if (language === 'yaml') configure(desk, filled)
  else if (language === 'text') return [filled, desk.shown]
  else desk.shown = await type(desk, filled.replaceAll('npx ', ''))
  return undefined
}

/** The first line names the file; in JSON it is no comment. */
function save(path: string, text: string): void {
  writeFileSync(path, path.endsWith('.json') ? text.slice(text.indexOf('\n') + 1) : text)
}

/** Puts each key in place of the one that is there. */
function configure({ cwd, values }: Desk, text: string): void {
  const places = [join(cwd, 'gate', 'unbearer.yaml'), join(cwd, 'unbearer.yaml')]
  const path = places.find((each) => existsSync(each)) ?? ''
  const others = [...text.matchAll(/^(\w+):/gm)].reduce(
    (all, [, name]) => all.replace(new RegExp(`^${name}:.*\\n(?:[ ]+.*\\n)*`, 'm'), ''),
    readFileSync(path, 'utf8').replace(':8700', values[':8700'] ?? ''),
  )
  // A machine that is busy with other tests answers late.
  writeFileSync(path, `${others}\n${text.replace('deadline: 250ms', 'deadline: 5s')}`)
}

/** Runs a shell block, but for npm's lines: what they install is installed, at the versions of the lockfile. */
async function type(desk: Desk, text: string): Promise<string> {
  if (/^(?:opa run|unbearer serve)/.test(text)) return leaveRunning(desk, text)
  const lines = text.split('\n').filter((line) => !line.startsWith('npm '))
  const { stdout } = await run('sh', ['-ec', lines.join('\n')], { cwd: desk.cwd, env: desk.env })
  const [, to] = /^cd (.+)$/m.exec(text) ?? []
  if (to !== undefined) desk.cwd = join(desk.cwd, to)
  return stdout
}

async function leaveRunning({ running, cwd, env, values }: Desk, text: string): Promise<string> {
  const [name = ''] = text.split(' ')
  await end(running.get(name))
  const child = spawn('sh', ['-c', `exec ${text}`], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const hear = (chunk: Buffer): string => (said += chunk.toString())
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  running.set(name, child)
  const port = Number(values[name === 'opa' ? ':8181' : ':8700']?.slice(1))
  for (let turn = 0; turn < 600 && child.exitCode === null; turn += 1) {
    if (await isOpen(port)) return said
    await sleep(50)
  }
  throw new Error(`${text} did not start: ${said}`)
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

async function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** All of it, where `…` is anything within a line. */
function toPattern(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`).replaceAll('…', '.*')}$`)
}

const isOurs = (name: string): boolean => name !== 'node_modules' && !name.startsWith('gate-')

describe.skipIf(installed === undefined)('policies that stay where they are, as a user has it', () => {
  const dir = installed ?? ''
  let folder = ''
  let desk: Desk
  let topaz: TopazServer | undefined
  beforeAll(async () => {
    folder = mkdtempSync(join(dir, 'page-'))
    const bins = [join(dir, 'node_modules', '.bin'), join(root, 'node_modules', '.bin'), dirname(opa ?? '')]
    const env = { ...process.env, PATH: [...bins, process.env['PATH']].join(delimiter) }
    const values = { ':8181': `:${await findPort()}`, ':8700': `:${await findPort()}` }
    desk = { cwd: folder, shown: '', running: new Map(), env, values }
  })
  afterAll(async () => {
    await Promise.all([...desk.running.values()].map(end))
    await topaz?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const play = async (section: string): Promise<void> => {
    const compared: string[] = []
    for (const block of readPage().filter((each) => each.section === section)) {
      const shown = await follow(desk, block)
      if (shown === undefined) continue
      const [said, seen] = shown
      compared.push(said)
      expect(seen).toMatch(toPattern(said))
    }
    expect(compared.length).toBe(1)
  }

  it('a shop with OPA', { timeout: 300_000 }, async () => {
    await play('An OPA shop')
    expect(desk.shown).toMatch(/opa: deny, .*\n\s+in its own log as [0-9a-f-]{36}\n/)
  })

  it.skipIf(topazd === undefined)('a shop with Topaz', { timeout: 300_000 }, async () => {
    const blocks = readPage().filter(({ section }) => section === 'A Topaz shop')
    const policies = join(folder, 'topaz')
    mkdirSync(policies)
    writeFileSync(join(policies, 'shop.rego'), blocks.find(({ language }) => language === 'rego')?.text ?? '')
    topaz = await startTopaz(topazd ?? '', { policies: [policies] })
    await topaz.addUsers({ alice: {} })
    await topaz.relate('desk/orders', 'clerk', 'alice')
    writeFileSync(join(folder, 'ca.crt'), topaz.ca)
    const places = { 'https://127.0.0.1:8383': topaz.url, '/path/to/topaz/certs/gateway-ca.crt': '../ca.crt' }
    desk.values = { ...desk.values, ...places }
    for (const block of blocks.filter(({ language }) => language === 'yaml')) await follow(desk, block)
    await leaveRunning(desk, 'unbearer serve\n')
    await play('A Topaz shop')
    expect(desk.shown).toContain('policy.denied')
  })

  it('the example prints what it promises', { timeout: 300_000 }, async () => {
    for (const name of readdirSync(example).filter(isOurs))
      cpSync(join(example, name), join(dir, name), { recursive: true })
    const { stdout } = await run('npm', ['-s', 'start', '--', '--json'], { cwd: dir })
    const told = {
      find: { executed: true },
      refund: { executed: true },
      tooMuch: { executed: false, reason: 'policy.denied' },
      notHers: { executed: false, reason: 'policy.denied' },
      drift: { executed: false, reason: 'intent.effect-mismatch' },
      away: { executed: false, reason: 'policy.unavailable' },
    }
    const none = { skipped: expect.stringContaining('there is no `topazd`') }
    expect(JSON.parse(stdout)).toEqual({ opa: told, topaz: topazd === undefined ? none : told })
  })
})
