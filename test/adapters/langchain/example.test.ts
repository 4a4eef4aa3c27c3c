/**
 * @module
 * The example and the code of the guide, compiled and run as a user would have them, against what is built (`dist`).
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import { EXAMPLES, installFramework } from '../install-framework.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..', '..')
const example = join(root, 'examples', 'langchain')
const isBuilt = existsSync(join(root, 'dist', 'adapters', 'langchain', 'index.js'))
if (!isBuilt) console.info('skipped: `npm run build` has not built dist/adapters/langchain')
const dir = isBuilt ? await installFramework(example, EXAMPLES) : undefined

const AGENT = `import { AIMessage, fakeModel } from 'langchain'
export { tools } from './tools.ts'
export const prompt = 'What is the e-mail of customer 42?'
const args = { id: '42', unbearer_intent: 'read: the user asked for the e-mail of customer 42' }
export const model = fakeModel().respondWithTools([{ id: 'c1', name: 'find_customer', args }]).respond(new AIMessage('done'))
`

const DRIVER = `import { dirname } from 'node:path'
import { setUp } from './installation.ts'
import { done } from './tools.ts'
const folder = await setUp()
process.chdir(dirname(folder.config))
await import('./guide.ts')
console.log(JSON.stringify(done))
await folder.remove()
`

const TSCONFIG = {
  compilerOptions: {
    target: 'es2024',
    module: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    exactOptionalPropertyTypes: true,
    // The package is a link here; with a copy, as npm installs it, this is not needed.
    preserveSymlinks: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules', '@types')],
  },
  include: ['*.ts'],
}

describe.skipIf(dir === undefined)('as a user has it', () => {
  const at = dir ?? ''
  // The body runs also where it is skipped; nothing must be written into the folder that the tests run in.
  if (dir !== undefined) {
    for (const file of globSync('*.{ts,yaml}', { cwd: example })) cpSync(join(example, file), join(at, file))
    const guide = readFileSync(join(root, 'docs', 'guide', 'langchain.md'), 'utf8')
    writeFileSync(join(at, 'guide.ts'), /```ts\n(.*?)```/s.exec(guide)?.[1] ?? '')
    writeFileSync(join(at, 'agent.ts'), AGENT)
    writeFileSync(join(at, 'driver.ts'), DRIVER)
    writeFileSync(join(at, 'tsconfig.json'), JSON.stringify(TSCONFIG))
  }

  it('compiles, the guide too', async () => {
    const tsc = join(root, 'node_modules', '.bin', 'tsc')
    const { stdout } = await run(tsc, ['-p', at], { cwd: at }).catch((fault: { stdout: string }) => fault)
    expect(stdout).toBe('')
  })

  it('the example prints what it promises', async () => {
    const { stdout } = await run(process.execPath, ['--preserve-symlinks', 'main.ts', '--json'], { cwd: at })
    expect(JSON.parse(stdout)).toEqual({
      permitted: { executed: true },
      drift: { executed: false, reason: 'intent.effect-mismatch' },
      injection: { executed: false, reason: 'context.untrusted-destination' },
      approval: { executedBefore: false, executedAfter: true, executions: 1 },
    })
  })

  it('the code of the guide runs', async () => {
    const { stdout } = await run(process.execPath, ['--preserve-symlinks', 'driver.ts'], { cwd: at })
    expect(stdout.trim().split('\n')).toEqual(['done', '["find_customer 42"]'])
  })
})
