// Prints, one a line, every module that importing `argv[2]` resolves.
import { registerHooks } from 'node:module'
import { writeSync } from 'node:fs'

registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context)
    writeSync(1, `${resolved.url}\n`)
    return resolved
  },
})
await import(process.argv[2])
