// For the examples, where `unbearer` is a link to this clone: installs and builds the clone unless that was done. Says so on
// standard error, because it takes a while the first time. Runs on any Node, in the folder of the example.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const isThere = (...path) => existsSync(join(...path))

function run(command, cwd) {
  const { status } = spawnSync(command, { cwd, stdio: ['ignore', 2, 2], shell: true })
  if (status !== 0) process.exit(status ?? 1)
}

function prepare(command) {
  console.error(`unbearer is a link to this clone, which is not ready: running \`${command}\` in ${root}, once`)
  run(command, root)
}

// The install script of `node` is what puts Node 24 on the path; the `.npmrc` of an example must not switch it off here.
if (!isThere(root, 'node_modules', '.bin', 'node')) prepare('npm ci --ignore-scripts=false --no-audit --no-fund')
if (!isThere(root, 'dist', 'cli', 'main.js')) prepare('npm run -s build')
// npm links no command that is not built yet.
if (!isThere('node_modules', '.bin', 'unbearer')) run('npm rebuild --ignore-scripts --silent', process.cwd())
