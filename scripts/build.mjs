// Builds dist with the pinned compiler. Runs on any Node: the compiler is a native binary.
// The new files take the place of the old ones, one by one and only when all of them are there: somebody may be running
// what is there, and a failed build leaves it alone.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = join(root, 'dist')
// Beside `dist`: a rename within a disk is never seen half done.
const fresh = join(root, `dist.new-${process.pid}`)

function filesOf(folder) {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((each) => each.isFile())
    .map((each) => join(each.parentPath, each.name).slice(folder.length + 1))
}

function replace() {
  const built = filesOf(fresh)
  for (const file of built) {
    mkdirSync(dirname(join(dist, file)), { recursive: true })
    renameSync(join(fresh, file), join(dist, file))
  }
  const kept = new Set(built)
  for (const file of filesOf(dist)) if (!kept.has(file)) rmSync(join(dist, file), { force: true })
}

try {
  const command = `tsc -p tsconfig.build.json --outDir "${fresh}"`
  const { status } = spawnSync(command, { cwd: root, stdio: 'inherit', shell: true })
  process.exitCode = status ?? 1
  if (status === 0) {
    chmodSync(join(fresh, 'cli', 'main.js'), 0o755)
    replace()
  }
} finally {
  rmSync(fresh, { recursive: true, force: true })
}
