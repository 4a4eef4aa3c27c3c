/**
 * @module
 * Installs a framework of an adapter's tests into a cache folder, once for each lockfile, so that it stays out of the root.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const CACHE = join(import.meta.dirname, '..', '..', '.cache')
const FRAMEWORKS = join(CACHE, 'frameworks')
/** For examples, which are one level less deep than tests. */
export const EXAMPLES: string = CACHE

/**
 * The folder with `node_modules` for the `package.json` and lockfile in `folder`; undefined, with a printed notice, where npm
 * cannot fetch them. `cache` is below the root and as deep as the parent of `folder`, so that `file:…` finds this package.
 */
export async function installFramework(folder: string, cache: string = FRAMEWORKS): Promise<string | undefined> {
  const lock = readFileSync(join(folder, 'package-lock.json'))
  const name = createHash('sha256').update(folder).update(lock).digest('hex').slice(0, 16)
  const installed = join(cache, name)
  if (existsSync(installed)) return installed
  const fresh = join(cache, `${name}-${process.pid}`)
  mkdirSync(fresh, { recursive: true })
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) cpSync(join(folder, file), join(fresh, file))
  try {
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: fresh, timeout: 120_000 })
    if (!existsSync(installed)) renameSync(fresh, installed)
    return installed
  } catch {
    console.info(`skipped: npm could not install what ${folder} needs`)
    return undefined
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}
