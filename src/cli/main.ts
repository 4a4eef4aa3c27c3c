#!/usr/bin/env node
/**
 * @module
 * The command `unbearer`. Nothing is imported before the version of Node is known: on an older one the imports would fail
 * with a message about syntax instead of one about Node.
 */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(`unbearer: Node ${process.versions.node} is too old, it needs 22.18 or newer\n`)
  process.exitCode = 2
} else {
  // A report of a crash, where somebody asks Node for one, would hold the environment, and keys may come from there.
  process.report.excludeEnv = true
  // Whoever reads our output may stop reading, as `head` does; that is not a fault.
  process.stdout.on('error', () => process.exit(0))
  const { run } = await import('./run.ts')
  process.exitCode = await run(process.argv.slice(2))
}
