// Prints, one a line, every module that importing `argv[2]` resolves. A package that is not installed (a framework is an
// optional peer) is replaced by an empty module, so that the rest of the graph is seen; the import then fails, with exit code 3.
import { registerHooks } from 'node:module'
import { writeSync } from 'node:fs'

let isWhole = true

function resolveOrReplace(specifier, context, next) {
  try {
    return next(specifier, context)
  } catch {
    isWhole = false
    return { url: `data:text/javascript,//node_modules/${specifier}/`, shortCircuit: true }
  }
}

registerHooks({
  resolve(specifier, context, next) {
    const resolved = resolveOrReplace(specifier, context, next)
    writeSync(1, `${resolved.url}\n`)
    return resolved
  },
})
try {
  await import(process.argv[2])
} catch (cause) {
  if (isWhole) throw cause
  process.exitCode = 3
}
