// Everything that a change has to pass, in one command: build, types, lint, format, unused code, tests, packaging.
// `--no-tests` leaves the tests out (`npm run check`). Every step runs although an earlier one failed, except after a failed
// build. Closes with one line `N passed, N failed`: tests, and one for each step. Runs on any Node; the steps run under the
// Node of devDependencies.
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` }
const report = join(root, 'node_modules', '.cache', 'unbearer', 'tests.json')

/** Steps as `[name, command]`; those with tests of their own say how to count them. */
const STEPS = [
  ['build', 'npm run -s build'],
  ['types', 'npm run -s check:types'],
  ['lint', 'npm run -s check:lint'],
  ['format', 'npm run -s check:format'],
  ['unused', 'npm run -s check:unused'],
  ['tests', `vitest run --reporter=default --reporter=json --outputFile=${JSON.stringify(report)}`],
  ['packaging', 'npm run -s check:packaging'],
]

function run(command) {
  return new Promise((resolve) => {
    spawn(command, { cwd: root, env, stdio: 'inherit', shell: true })
      .on('error', () => resolve(1))
      .on('exit', (code) => resolve(code ?? 1))
  })
}

/** What vitest counted. No report is a failure, whatever the exit code says. */
function readTests() {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

function finish(passed, failed) {
  console.log(`\n${passed} passed, ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
}

/** npm may skip the installation of the `node` package in silence; an older Node fails later with errors about syntax. */
function assertNode() {
  const version = spawnSync('node', ['--version'], { env, encoding: 'utf8', shell: true }).stdout?.trim() ?? ''
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  if (major > 22 || (major === 22 && minor >= 18)) return version
  console.error(
    `the steps would run under Node ${version}, they need 22.18: run \`npm ci\` with install scripts allowed`,
  )
  return finish(0, 1)
}

const steps = process.argv.includes('--no-tests') ? STEPS.filter(([name]) => name !== 'tests') : STEPS
const results = []
let passed = 0
let failed = 0
mkdirSync(dirname(report), { recursive: true })
rmSync(report, { force: true })
console.log(`Node ${assertNode()}; ${steps.map(([name]) => name).join(', ')}`)
for (const [name, command] of steps) {
  console.log(`\n── ${name}`)
  const started = Date.now()
  const code = await run(command)
  const tests = name === 'tests' ? readTests() : { passed: 0, failed: 0 }
  passed += tests.passed + (code === 0 ? 1 : 0)
  failed += tests.failed + (code === 0 ? 0 : 1)
  results.push(
    `${code === 0 ? 'ok    ' : 'FAILED'}  ${name.padEnd(10)} ${((Date.now() - started) / 1000).toFixed(1)} s`,
  )
  if (code !== 0 && name === 'build') break
}
console.log(`\n${results.join('\n')}`)
finish(passed, failed)
