/**
 * @module
 * What the demo needs beyond the package: a database, the official MCP client and the official PostgreSQL tool server.
 * In a clone they are installed; elsewhere they are named, asked for, and fetched by npm into a folder of their own.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { pathToFileURL } from 'node:url'

import { UnavailableError } from '../../index.ts'

export const DEMO_PACKAGES: Readonly<Record<string, string>> = {
  '@modelcontextprotocol/sdk': '1.32.2',
  '@modelcontextprotocol/server-postgres': '0.6.2',
  '@electric-sql/pglite': '0.5.14',
  '@electric-sql/pglite-socket': '0.2.17',
}

export interface DemoPackages {
  readonly PGlite: typeof import('@electric-sql/pglite').PGlite
  readonly PGLiteSocketServer: typeof import('@electric-sql/pglite-socket').PGLiteSocketServer
  /** The entry file of the official PostgreSQL tool server. */
  readonly postgresServer: string
  /** A file from which the agent's process can import the official client. */
  readonly resolveFrom: string
}

/** Finds the packages, or fetches them after asking (`yes` answers for the person). Throws when it may not. */
export async function loadDemoPackages(yes: boolean): Promise<DemoPackages> {
  const here = import.meta.filename
  if (canResolve(here)) return load(here)
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'unbearer', 'demo')
  const from = join(folder, 'package.json')
  if (!existsSync(from) || !canResolve(from)) await fetchPackages(folder, yes)
  return load(from)
}

function canResolve(from: string): boolean {
  const require = createRequire(from)
  return Object.keys(DEMO_PACKAGES).every(
    (name) => require.resolve.paths(name)?.some((path) => existsSync(join(path, name))) === true,
  )
}

async function fetchPackages(folder: string, yes: boolean): Promise<void> {
  const list = Object.entries(DEMO_PACKAGES).map(([name, version]) => `${name}@${version}`)
  process.stderr.write(
    `The demo needs these packages, fetched by npm into ${folder}:\n${list.map((one) => `  ${one}\n`).join('')}`,
  )
  if (!yes && !(await ask()))
    throw new UnavailableError('the demo was not given its packages, run it again with `--yes`')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true }))
  const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--save-exact', ...list], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  })
  if (status !== 0) throw new UnavailableError('npm could not fetch the packages of the demo, see its output above')
}

async function ask(): Promise<boolean> {
  if (!process.stdin.isTTY) return false
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question('Fetch them now? [Y/n] ')
  terminal.close()
  return /^(y|yes|)$/i.test(answer.trim())
}

async function load(from: string): Promise<DemoPackages> {
  const require = createRequire(from)
  const [{ PGlite }, { PGLiteSocketServer }] = await Promise.all([
    importFrom<typeof import('@electric-sql/pglite')>(require, '@electric-sql/pglite'),
    importFrom<typeof import('@electric-sql/pglite-socket')>(require, '@electric-sql/pglite-socket'),
  ])
  return { PGlite, PGLiteSocketServer, postgresServer: findPostgresServer(require), resolveFrom: from }
}

async function importFrom<T>(require: NodeJS.Require, name: string): Promise<T> {
  const loaded: T = await import(pathToFileURL(require.resolve(name)).href)
  return loaded
}

/** The package exports nothing; its file is found by where the package lies. */
function findPostgresServer(require: NodeJS.Require): string {
  const name = '@modelcontextprotocol/server-postgres'
  const base = require.resolve.paths(name)?.find((path) => existsSync(join(path, name)))
  return join(base ?? '', name, 'dist', 'index.js')
}
