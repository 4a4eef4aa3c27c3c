// The long versions of all trials: rounds of the whole test suite with UNBEARER_SOAK=1, each under a seed that is printed
// before it starts and again when it fails. `npm run soak -- [ROUNDS] [FILTER…]`; UNBEARER_SEED=N repeats one round.
import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const given = process.argv.slice(2)
const rounds = /^[1-9][0-9]*$/.test(given[0] ?? '') ? Number(given.shift()) : 3
const repeated = process.env.UNBEARER_SEED

function runRound(seed) {
  const env = { ...process.env, UNBEARER_SOAK: '1', UNBEARER_SEED: String(seed) }
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  return new Promise((resolve) => {
    spawn('node', [vitest, 'run', ...given], { cwd: root, env, stdio: 'inherit' })
      .on('error', () => resolve(1))
      .on('exit', (code) => resolve(code ?? 1))
  })
}

const seeds = repeated === undefined ? Array.from({ length: rounds }, () => randomInt(2 ** 31)) : [Number(repeated)]
const failed = []
for (const [index, seed] of seeds.entries()) {
  console.log(`\n── round ${index + 1} of ${seeds.length}, UNBEARER_SEED=${seed}`)
  if ((await runRound(seed)) !== 0) failed.push(seed)
}
for (const seed of failed)
  console.log(`failed: UNBEARER_SEED=${seed} npm run soak${given.map((arg) => ` ${arg}`).join('')}`)
console.log(`\n${seeds.length - failed.length} passed, ${failed.length} failed`)
process.exit(failed.length === 0 ? 0 : 1)
