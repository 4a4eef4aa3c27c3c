// Everything a change has to pass, in one command: types, lint, format, unused code, tests, packaging.
// Closes with one line `N passed, N failed`. Runs on any Node; each tool runs under the Node of devDependencies.
import { spawn } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` }
const report = join(root, 'node_modules', '.cache', 'vitest-report.json')

const steps = [
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
    spawn(command, { cwd: root, env, stdio: 'inherit', shell: true }).on('exit', (code) => resolve(code ?? 1))
  })
}

function readTests() {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
    return { passed: numPassedTests, failed: numFailedTests }
  } catch {
    return { passed: 0, failed: 1 }
  }
}

let passed = 0
let failed = 0
rmSync(report, { force: true })
for (const [name, command] of steps) {
  console.log(`\n── ${name}`)
  const code = await run(command)
  if (name === 'tests') {
    const tests = readTests()
    passed += tests.passed
    failed += tests.failed
  }
  if (code === 0) passed += 1
  else failed += 1
  if (code !== 0) console.log(`── ${name} failed`)
  if (name === 'build' && code !== 0) break
}
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)
