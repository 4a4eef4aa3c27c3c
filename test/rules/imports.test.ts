/**
 * @module
 * The import rules of ARCHITECTURE.md, held over the real files.
 */
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

import { describe, expect, it } from 'vitest'

/** Folder of `src` to what it may import from: folders, single files, or packages. `core` may only hash. */
const RULES: Readonly<Record<string, readonly string[]>> = {
  core: ['core', 'node:crypto'],
  ports: ['ports', 'core'],
  crypto: ['crypto', 'ports', 'core', 'node:', 'jose'],
  engines: [
    'engines',
    'ports',
    'core',
    'node:',
    '@cedar-policy/cedar-wasm',
    '@open-policy-agent/opa-wasm',
    '@marcbachmann/cel-js',
  ],
  effects: ['effects', 'ports', 'core', 'libpg-query', '@pgsql/types'],
  stores: ['stores', 'ports', 'core', 'node:'],
  pdp: ['pdp', 'core', 'ports', 'crypto', 'node:'],
  adapters: ['adapters', 'index.ts', 'node:', 'yaml', '@langchain/core', '@langchain/langgraph', 'langchain'],
  testing: ['testing', 'index.ts', 'node:'],
  client: ['client', 'core', 'ports', 'crypto', 'node:'],
  http: ['http', 'client', 'core', 'ports', 'crypto', 'node:'],
  server: ['server', 'index.ts', 'ports', 'core', 'pdp', 'crypto', 'node:', 'hono'],
  config: [
    'config',
    'index.ts',
    'core',
    'ports',
    'pdp',
    'crypto',
    'engines',
    'stores',
    'effects',
    'adapters',
    'server',
    'node:',
    'yaml',
    'zod',
    '@hono/node-server',
  ],
  cli: [
    'cli',
    'config',
    'index.ts',
    'core',
    'ports',
    'crypto',
    'client',
    'server',
    'adapters',
    'effects',
    'node:',
    'yaml',
    '@modelcontextprotocol/sdk',
    '@electric-sql',
  ],
}

/** The files beside the folders. `index.ts` only re-exports; the host builds an installation, by dynamic import. */
const TOP: Readonly<Record<string, readonly string[]>> = {
  'index.ts': ['core', 'ports', 'host.ts', 'host-task.ts'],
  'host.ts': ['config', 'crypto', 'core', 'host-task.ts', 'node:crypto'],
  'host-task.ts': ['core', 'ports', 'node:async_hooks'],
}

interface Import {
  readonly file: string
  readonly to: string
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join('src', file), 'utf8')
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import '([^']+)'/g,
  )
  return [...found].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? ''
    return { file, to: specifier.startsWith('.') ? normalize(join(dirname(file), specifier)) : specifier }
  })
}

function isAllowed({ file, to }: Import): boolean {
  const folder = file.split('/')[0] ?? ''
  const rule = RULES[folder] ?? TOP[file]
  if (rule === undefined) return false
  return rule.some((allowed) =>
    allowed.endsWith(':') ? to.startsWith(allowed) : to === allowed || to.startsWith(`${allowed}/`),
  )
}

const files = globSync('**/*.ts', { cwd: 'src' }).filter((file) => !file.endsWith('.test.ts'))
/** What is loaded with a file, without what it only types or loads later. */
function loadedBy(file: string): readonly string[] {
  const text = readFileSync(join('src', file), 'utf8')
  const found = text.matchAll(/(?:^|\n)\s*(?:import|export)\s(?!type\s)[^'"]*?from\s*'([^']+)'/g)
  return [...found].flatMap(([, to = '']) => (to.startsWith('.') ? [normalize(join(dirname(file), to))] : []))
}

function allLoadedBy(file: string, seen: Set<string> = new Set()): ReadonlySet<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const to of loadedBy(file)) allLoadedBy(to, seen)
  return seen
}

describe('import rules', () => {
  it('finds the source', () => {
    expect(files.length).toBeGreaterThan(40)
  })

  it('knows every folder', () => {
    const known = new Set([...Object.keys(RULES), ...Object.keys(TOP)])
    expect(new Set(files.map((file) => file.split('/')[0]))).toEqual(known)
  })

  it('loads no store, engine, server or configuration with the public index', () => {
    const folders = new Set([...allLoadedBy('index.ts')].map((file) => file.split('/')[0] ?? ''))
    expect([...folders].filter((folder) => folder in RULES).toSorted()).toEqual(['core'])
  })

  it('lets adapters of different hosts not know each other', () => {
    const hosts = files.filter((file) => /^adapters\/[^/]+\//.test(file))
    const broken = hosts
      .flatMap(importsOf)
      .filter(({ file, to }) => /^adapters\/[^/]+\//.test(to) && to.split('/')[1] !== file.split('/')[1])
    expect(broken).toEqual([])
  })

  it('lets each folder import only what its rule names', () => {
    const broken = files.flatMap(importsOf).filter((one) => !isAllowed(one))
    expect(broken).toEqual([])
  })

  it('lets stores not know each other', () => {
    const stores = ['memory.ts', 'sqlite.ts']
    const broken = stores
      .flatMap((store) => importsOf(`stores/${store}`))
      .filter(({ to }) => stores.some((other) => to === `stores/${other}`))
    expect(broken).toEqual([])
  })

  it('would notice a forbidden import', () => {
    expect(isAllowed({ file: 'core/decide.ts', to: 'node:fs' })).toBe(false)
    expect(isAllowed({ file: 'adapters/mcp/gateway.ts', to: 'core/json.ts' })).toBe(false)
    expect(isAllowed({ file: 'core/decide.ts', to: 'crypto/keys.ts' })).toBe(false)
    expect(isAllowed({ file: 'index.ts', to: 'stores/memory.ts' })).toBe(false)
    expect(isAllowed({ file: 'new-file.ts', to: 'core/json.ts' })).toBe(false)
  })
})
