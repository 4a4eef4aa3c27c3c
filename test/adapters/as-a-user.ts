/**
 * @module
 * An example and a page of the guide as a new user has them: the example is started with its own `npm start`, and the page is
 * followed from top to bottom in an empty folder, every file saved, every command run, everything shown compared. Against what is
 * built (`dist`).
 */
import { execFile } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { EXAMPLES, installFramework } from './install-framework.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '..', '..')

export interface AsAUser {
  /** The name of the folder in `examples` and of the adapter. */
  readonly name: string
  /** The page in `docs/guide`. */
  readonly page: string
  /** The adapter loads its framework: where this package is a link, it would look for it in the wrong place. */
  readonly isLinked: boolean
}

/** Skips, with a printed notice, where the adapter is not built or npm cannot fetch its framework. */
export async function describeAsAUser({ name, page, isLinked }: AsAUser): Promise<void> {
  const example = join(root, 'examples', name)
  const isBuilt = existsSync(join(root, 'dist', 'adapters', name, 'index.js'))
  if (!isBuilt) console.info(`skipped: \`npm run build\` has not built dist/adapters/${name}`)
  const installed = isBuilt ? await installFramework(example, EXAMPLES) : undefined
  // The body below is run also where it is skipped, and then has no folder; only hooks and tests touch one.
  const dir = installed ?? ''
  const blocks = readBlocks(join(root, 'docs', 'guide', page))
  const bins = [join(dir, 'node_modules', '.bin'), join(root, 'node_modules', '.bin'), process.env['PATH']]
  const env = {
    ...process.env,
    PATH: bins.join(delimiter),
    ...(isLinked ? { NODE_OPTIONS: '--preserve-symlinks' } : {}),
  }

  describe.skipIf(installed === undefined)(`${name}, as a user has it`, () => {
    let folder = ''
    beforeAll(() => {
      for (const file of globSync('*.{ts,yaml,sh,json}', { cwd: example })) cpSync(join(example, file), join(dir, file))
      folder = mkdtempSync(join(dir, 'page-'))
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    it('the example prints what it promises', async () => {
      const { stdout } = await run('npm', ['-s', 'start', '--', '--json'], { cwd: dir })
      expect(JSON.parse(stdout)).toEqual({
        permitted: { executed: true },
        drift: { executed: false, reason: 'intent.effect-mismatch' },
        injection: { executed: false, reason: 'context.untrusted-destination' },
        approval: { executedBefore: false, executedAfter: true, executions: 1 },
      })
    })

    it('the page can be followed, and shows what it says', async () => {
      const shown = await follow(blocks, folder, env)
      expect(shown.length).toBeGreaterThan(0)
      for (const { said, seen } of shown) expect(seen).toMatch(toPattern(said))
    })

    it('both compile', async () => {
      writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(toProject(folder, isLinked)))
      const tsc = join(root, 'node_modules', '.bin', 'tsc')
      const { stdout } = await run(tsc, ['-p', dir], { cwd: dir }).catch((fault: { stdout: string }) => fault)
      expect(stdout).toBe('')
    })
  })
}

interface Block {
  readonly language: string
  readonly text: string
  /** What to save it as, from its first line. */
  readonly file?: string
}

function readBlocks(path: string): readonly Block[] {
  return [...readFileSync(path, 'utf8').matchAll(/^```([a-z]+)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => {
    const file = /^(?:\/\/|#) ([\w-]+\.(?:ts|yaml))\n/.exec(text)?.[1]
    return { language, text, ...(file === undefined ? {} : { file }) }
  })
}

/** Saves and runs the blocks in order; gives what the page says is shown beside what the commands before it showed. */
async function follow(blocks: readonly Block[], folder: string, env: NodeJS.ProcessEnv) {
  const shown: { readonly said: string; readonly seen: string }[] = []
  let seen = ''
  for (const { language, text, file } of blocks) {
    if (file !== undefined) writeFileSync(join(folder, file), text)
    else if (language === 'sh') seen = await type(text, folder, env)
    else shown.push({ said: text, seen })
  }
  return shown
}

/** Runs the lines of a shell block, but for npm's: the framework is installed, at the versions of the lockfile. */
async function type(text: string, cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  let shown = ''
  for (const line of text.trim().split('\n')) {
    if (line.startsWith('npm ')) continue
    shown += (await run('sh', ['-c', line.replace(/^npx /, '')], { cwd, env })).stdout
    if (line.includes('unbearer init')) calm(join(cwd, 'unbearer.yaml'))
  }
  return shown
}

/** Tests run side by side on a busy machine: any port, and time. */
function calm(path: string): void {
  const text = readFileSync(path, 'utf8')
    .replace('127.0.0.1:8700', '127.0.0.1:0')
    .replace('deadline: 50ms', 'deadline: 2s')
  writeFileSync(path, text)
}

/** All of it, where `…` is anything within a line. */
function toPattern(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`).replaceAll('…', '.*')}$`)
}

function toProject(folder: string, preserveSymlinks: boolean): object {
  return {
    compilerOptions: {
      target: 'es2024',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      allowImportingTsExtensions: true,
      exactOptionalPropertyTypes: true,
      preserveSymlinks,
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    },
    include: ['*.ts', `${folder}/*.ts`],
  }
}
