/**
 * @module
 * What ships: its files, its types for both resolutions, and how little each entry point loads.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

import { createConsumer, readManifest, root, run } from './packed.mjs'

const bin = (name) => join(root, 'node_modules', '.bin', name)
let consumer

before(() => {
  consumer = createConsumer()
})
after(() => consumer?.remove())

describe('the package', () => {
  it('ships what it runs, the policies and the reference, and nothing else', () => {
    const known = /^(dist\/|policies\/|docs\/(reference|guide)\/|(package\.json|LICENSE|README\.md)$)/
    assert.deepEqual(
      consumer.files.filter((path) => !known.test(path)),
      [],
    )
    const unwanted = /\.test\.|\.test-data\.|fixtures|(^|\/)test\/|\.jwk$|\.db$|(?<!\.d)\.ts$/
    assert.deepEqual(
      consumer.files.filter((path) => unwanted.test(path)),
      [],
    )
    for (const path of ['policies/schema.cedarschema', 'docs/reference/config.schema.json', 'dist/cli/main.js'])
      assert(consumer.files.includes(path), path)
  })

  it('has no sources but what the compiler made of ours', () => {
    const made = consumer.files.filter((path) => /^dist\/.*\.js$/.test(path))
    const orphans = made.filter((path) => !existsSync(join(root, 'src', path.slice(5).replace(/\.js$/, '.ts'))))
    assert.deepEqual(orphans, [])
  })

  it('passes publint', async () => {
    const pkg = readManifest(consumer.installed)
    const { messages } = await publint({ pkgDir: consumer.installed, strict: true, pack: false })
    assert.deepEqual(
      messages.map((message) => formatMessage(message, pkg)),
      [],
    )
  })

  it('passes attw for ESM', () => {
    run(bin('attw'), [consumer.tarball, '--profile', 'esm-only', '--no-color'])
  })

  it('pins every dependency exactly', () => {
    const { dependencies, devDependencies } = readManifest()
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(([, version]) => !/^\d/.test(version))
    assert.deepEqual(loose, [])
  })

  it('names no place to fetch from in the lockfile', () => {
    assert.doesNotMatch(readFileSync(join(root, 'package-lock.json'), 'utf8'), /"resolved"\s*:/)
  })

  it('has a lockfile with the bindings of other platforms', () => {
    const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
    const names = Object.keys(packages)
    for (const platform of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64']) {
      for (const tool of ['oxlint', 'oxfmt', 'typescript', 'tsgolint', 'rolldown']) {
        assert(
          names.some((name) => name.includes(tool) && name.includes(platform)),
          `${tool} for ${platform}`,
        )
      }
    }
  })

  it('fetches for the demo what is tested here', async () => {
    const { DEMO_PACKAGES } = await import(join(root, 'dist', 'cli', 'demo', 'packages.js'))
    const { devDependencies } = readManifest()
    for (const [name, version] of Object.entries(DEMO_PACKAGES)) assert.equal(version, devDependencies[name], name)
  })
})

describe('a consumer', () => {
  for (const [resolution, module] of [
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ]) {
    it(`compiles under moduleResolution ${resolution}`, () => {
      consumer.add('@types/node')
      consumer.add('undici-types')
      const args = ['-p', consumer.project, '--module', module, '--moduleResolution', resolution]
      run(bin('tsc'), args, { cwd: consumer.project })
    })
  }

  it('gets the errors of the compiler when it uses what is not there', () => {
    const args = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', 'wrong.ts']
    assert.throws(() => run(bin('tsc'), ['--ignoreConfig', ...args], { cwd: consumer.project }), /decideForMe/)
  })

  it('runs the command', () => {
    const main = join(consumer.installed, 'dist', 'cli', 'main.js')
    const at = { cwd: consumer.project }
    assert.equal(run(process.execPath, [main, '--version'], at).trim(), readManifest().version)
    run(process.execPath, [main, 'init', '--dir', 'gate', '--json'], at)
    const verified = run(process.execPath, [main, 'audit', 'verify', '--config', 'gate/unbearer.yaml', '--json'], at)
    assert.equal(JSON.parse(verified).ok, true)
  })
})

/** The URL of everything that importing `specifier` resolves. */
const load = (specifier) =>
  run(process.execPath, ['record-loads.mjs', specifier], { cwd: consumer.project }, [0, 3]).trim().split('\n')
const packagesOf = (urls) => [
  ...new Set(urls.flatMap((url) => url.match(/node_modules\/((?:@[^/]+\/)?[^/]+)(?!.*node_modules\/)/)?.[1] ?? [])),
]
const foldersOf = (urls) => [
  ...new Set(urls.flatMap((url) => url.match(/\/unbearer\/dist\/(adapters\/[^/]+|[^/]+)\//)?.[1] ?? [])),
]

/** What each entry point may load: folders of ours (`adapters/X` for an adapter), and packages of other people. */
const ENTRIES = {
  unbearer: { folders: ['core'], packages: [] },
  'unbearer/client': { folders: ['client', 'core', 'crypto', 'ports'], packages: [] },
  'unbearer/http': { folders: ['http', 'client', 'core', 'crypto', 'ports'], packages: [] },
  'unbearer/testing': { folders: ['testing', 'core', 'ports'], packages: [] },
  'unbearer/adapters': { folders: ['adapters', 'core'], packages: [] },
  'unbearer/ai-sdk': { folders: ['adapters', 'adapters/ai-sdk', 'core'], packages: ['ai'] },
  'unbearer/langchain': {
    folders: ['adapters', 'adapters/langchain', 'core'],
    packages: ['@langchain/core', '@langchain/langgraph', 'langchain'],
  },
}

describe('loading', () => {
  it('is known of every entry point', () => {
    const exported = Object.keys(readManifest().exports).filter((key) => key !== './package.json')
    assert.deepEqual(exported.map((key) => join('unbearer', key)).toSorted(), Object.keys(ENTRIES).toSorted())
  })

  for (const [specifier, { folders, packages }] of Object.entries(ENTRIES)) {
    it(`\`${specifier}\` loads no store, engine, server or other adapter, of packages ${packages.join(', ') || 'none'}`, () => {
      const urls = load(specifier)
      assert.deepEqual(
        packagesOf(urls).filter((name) => !['unbearer', ...packages].includes(name)),
        [],
      )
      assert.deepEqual(
        foldersOf(urls).filter((folder) => !folders.includes(folder)),
        [],
      )
      assert(foldersOf(urls).includes('core'))
      assert(!urls.includes('node:sqlite'))
    })
  }

  it('would see another package and another folder', () => {
    assert.deepEqual(packagesOf(load('hono')), ['hono'])
    assert.deepEqual(packagesOf(['data:text/javascript,//node_modules/@x/y/z/']), ['@x/y'])
    assert.deepEqual(foldersOf(['file:///a/unbearer/dist/adapters/mcp/gateway.js']), ['adapters/mcp'])
  })
})
