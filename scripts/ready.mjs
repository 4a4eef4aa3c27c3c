// For the examples, where `unbearer` is a link to this clone: installs and builds the clone unless that was done. Says so on
// standard error, because it takes a while the first time. Runs on any Node.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const isThere = (...path) => existsSync(join(root, ...path))

function run(command) {
  console.error(`unbearer is a link to this clone, which is not ready: running \`${command}\` in ${root}, once`)
  const { status } = spawnSync(command, { cwd: root, stdio: ['ignore', 2, 2], shell: true })
  if (status !== 0) process.exit(status ?? 1)
}

// The install script of `node` is what puts Node 24 on the path; the `.npmrc` of an example must not switch it off here.
if (!isThere('node_modules', '.bin', 'node')) run('npm ci --ignore-scripts=false --no-audit --no-fund')
if (!isThere('dist', 'cli', 'main.js')) run('npm run -s build')
