/**
 * The example of `examples/http` as a new user has it: installed from its lockfile, compiled, and started with its own
 * `npm start`: a real issuer, an API in each framework, an agent and a thief. Against what is built (`dist`).
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { beforeAll, describe, expect, it } from 'vitest'

import { EXAMPLES, installFramework } from '../adapters/install-framework.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')
const example = join(root, 'examples', 'http')
const isBuilt = existsSync(join(root, 'dist', 'http', 'index.js'))
if (!isBuilt) console.info('skipped: `npm run build` has not built dist/http')
const installed = isBuilt ? await installFramework(example, EXAMPLES) : undefined
const dir = installed ?? ''

const PLAYED = {
  read: 200,
  write: 200,
  outside: 'scope.argument',
  bare: 'identity.missing',
  elsewhere: ['identity.bad-proof', 'identity.bad-proof'],
  otherBody: 'credential.mismatch',
  again: 'credential.replayed',
  handled: ['read 7', 'note 7: urgent, for user/alice'],
}

describe.skipIf(installed === undefined)('the example of resource servers', () => {
  beforeAll(() => {
    for (const file of globSync('*.{ts,yaml,sh,json}', { cwd: example })) cpSync(join(example, file), join(dir, file))
  })

  it('does in every framework what it promises', { timeout: 120_000 }, async () => {
    const { stdout } = await run('npm', ['-s', 'start', '--', '--json'], { cwd: dir })
    expect(JSON.parse(stdout)).toEqual({ hono: PLAYED, express: PLAYED, fastify: PLAYED, node: PLAYED })
  })

  it('compiles', async () => {
    const compilerOptions = {
      strict: true,
      noEmit: true,
      module: 'nodenext',
      target: 'es2024',
      types: ['node'],
      allowImportingTsExtensions: true,
      skipLibCheck: true,
    }
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const { stdout } = await run(tsc, ['-p', dir], { cwd: dir }).catch((fault: { stdout: string }) => fault)
    expect(stdout).toBe('')
  })

  it('is what the guide says', () => {
    const guide = readFileSync(join(root, 'docs', 'guide', 'resource-servers.md'), 'utf8')
    const said = [...guide.matchAll(/^```js\n(.*?)^```$/gms)].flatMap((match) => (match[1] ?? '').trim().split('\n'))
    const code = globSync('*.ts', { cwd: example }).map((file) => readFileSync(join(example, file), 'utf8'))
    const lines = said.map((line) => line.replace(/ *\/\/.*$/, '').trim()).filter((line) => line !== '')
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => !code.some((text) => text.includes(line)))).toEqual([])
  })
})
