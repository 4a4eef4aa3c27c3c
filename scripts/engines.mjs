// Builds the real policy servers that tests and the bench use, once, into a cache folder outside the project
// (`UNBEARER_ENGINES_DIR`, or the user's cache): `npm run engines`. Needs `go`; where it or a server is missing the tests say
// that they skip. Some minutes each the first time, on one core at low priority; nothing is built again while it is there.
// `npm run engines -- opa topazd` builds these only; `npm run engines -- topazd=DIR` builds one out of a checkout of its source,
// where the module proxy does not have it.
// `npm run engines -- --fixtures` also compiles the Rego of the tests and examples to WebAssembly.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder =
  process.env.UNBEARER_ENGINES_DIR ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'unbearer', 'engines')
const bin = join(folder, 'bin')

/** Name of the binary to its module, the package in it, an exact version, and what the build needs. */
const SERVERS = {
  opa: { module: 'github.com/open-policy-agent/opa', from: '', version: 'v1.20.1' },
  'opa-authzen-plugin': {
    module: 'github.com/kanywst/opa-authzen-plugin',
    from: '/cmd/opa-authzen-plugin',
    version: 'v0.2.5',
  },
  topazd: {
    module: 'github.com/aserto-dev/topaz',
    from: '/topazd',
    version: 'v0.33.17',
    env: { GOEXPERIMENT: 'jsonv2', CGO_ENABLED: '0' },
  },
}

/** Compiled bundles to what they are made of. */
const BUNDLES = {
  'test/fixtures/engines/contract.tar.gz': {
    entrypoints: ['permit', 'deny', 'undefined', 'conflicting'].map((name) => `contract/${name}/allow`),
    sources: ['permit', 'deny', 'undefined', 'conflicting'].map(
      (name) => `test/fixtures/engines/contract/${name}.rego`,
    ),
  },
  'test/fixtures/engines/shown.tar.gz': {
    entrypoints: ['contract/shown/seen'],
    sources: ['test/fixtures/engines/contract/shown.rego'],
  },
  'examples/policies/opa-wasm/agents.tar.gz': {
    entrypoints: ['agents/decision'],
    sources: ['examples/policies/opa/agents.rego'],
  },
}

/** Runs a command at low priority and says every half minute that it still runs: a linker is silent for long. */
function run(command, args, env = {}, cwd = root) {
  const started = Date.now()
  const nice = process.platform === 'win32' ? [command, args] : ['nice', ['-n', '10', command, ...args]]
  const child = spawn(...nice, { cwd, stdio: 'inherit', env: { ...process.env, ...env } })
  const timer = setInterval(() => console.log(`  … ${Math.round((Date.now() - started) / 1000)} s`), 30_000)
  return new Promise((resolve) => {
    child.on('error', () => resolve(1)).on('exit', (code) => resolve(code ?? 1))
  }).finally(() => clearInterval(timer))
}

async function build(name, checkout) {
  const { module, from, version, env = {} } = SERVERS[name]
  if (existsSync(join(bin, name))) {
    console.log(`${name}: is there`)
    return true
  }
  const source = checkout === undefined ? `${module}${from}@${version}` : `.${from}`
  console.log(`${name}: building ${source}${checkout === undefined ? '' : ` in ${checkout}`}`)
  const flags = `${process.env.GOFLAGS ?? ''} -p=1`.trim()
  const code = await run('go', ['install', source], { ...env, GOBIN: bin, GOFLAGS: flags }, checkout)
  console.log(code === 0 ? `${name}: built` : `${name}: could not be built`)
  return code === 0
}

async function compile(bundle, { entrypoints, sources }) {
  const named = entrypoints.flatMap((entrypoint) => ['-e', entrypoint])
  const code = await run(join(bin, 'opa'), ['build', '-t', 'wasm', ...named, ...sources, '-o', bundle])
  console.log(code === 0 ? `${bundle}: compiled` : `${bundle}: could not be compiled`)
  return code === 0
}

const named = process.argv.slice(2).filter((word) => !word.startsWith('--'))
const wanted = (named.length === 0 ? Object.keys(SERVERS) : named).map((word) => word.split(/=(.*)/s))
const unknown = wanted.find(([name]) => !Object.hasOwn(SERVERS, name))
if (unknown !== undefined) {
  console.error(`\`${unknown[0]}\` is none of ${Object.keys(SERVERS).join(', ')}`)
  process.exit(2)
}
if (spawnSync('go', ['version']).status !== 0) {
  console.error('the Go toolchain is needed to build policy servers: install Go 1.26 or later, then run this again')
  process.exit(2)
}
mkdirSync(bin, { recursive: true })
console.log(`into ${folder}`)
const results = []
for (const [name, checkout] of wanted) results.push(await build(name, checkout))
if (process.argv.includes('--fixtures'))
  for (const [bundle, made] of Object.entries(BUNDLES)) results.push(await compile(bundle, made))
process.exit(results.every(Boolean) ? 0 : 1)
