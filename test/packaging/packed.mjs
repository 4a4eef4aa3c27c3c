/**
 * @module
 * The package as somebody installs it: packed by npm, unpacked into the `node_modules` of a project of its own, with the
 * dependencies that its manifest names and no others.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))

/** Runs a program to its end; throws with its output when it ends with another exit code. */
export function run(command, args, options = {}, expected = [0]) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', cwd: root, ...options })
  if (!expected.includes(status)) throw new Error(`${command} ${args.join(' ')}: ${error ?? ''}\n${stdout}\n${stderr}`)
  return stdout
}

export function readManifest(folder = root) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/** Packs `dist` as it is; the steps before this one have built it. */
export function createConsumer() {
  const project = mkdtempSync(join(tmpdir(), 'unbearer-consumer-'))
  const packed = JSON.parse(
    run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', project], { shell: false }),
  )
  const { filename, files } = Object.values(packed)[0]
  const installed = join(project, 'node_modules', 'unbearer')
  mkdirSync(installed, { recursive: true })
  const tarball = join(project, filename)
  run('tar', ['-xzf', tarball, '-C', installed, '--strip-components', '1'])
  for (const name of Object.keys(readManifest(installed).dependencies)) link(project, name)
  cpSync(join(root, 'test', 'packaging', 'consumer'), project, { recursive: true })
  return {
    project,
    installed,
    tarball,
    files: files.map(({ path }) => path),
    /** Installs one more package of ours, for what a consumer has of its own. */
    add: (name) => link(project, name),
    remove: () => rmSync(project, { recursive: true, force: true }),
  }
}

function link(project, name) {
  const to = join(project, 'node_modules', name)
  if (existsSync(to)) return
  mkdirSync(dirname(to), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), to, 'dir')
}
