// Builds dist with the pinned compiler. Runs on any Node: the compiler is a native binary.
import { spawnSync } from 'node:child_process'
import { chmodSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
rmSync(new URL('../dist', import.meta.url), { recursive: true, force: true })
const { status } = spawnSync('tsc -p tsconfig.build.json', { cwd: root, stdio: 'inherit', shell: true })
if (status !== 0) process.exit(status ?? 1)
chmodSync(new URL('../dist/cli/main.js', import.meta.url), 0o755)
