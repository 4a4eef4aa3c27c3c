/**
 * @module
 * For which installation something is signed.
 */
import { usageError, type Call } from './command.ts'

/**
 * `--issuer`, or what the configuration says. Never taken from a server: it could name another installation than itself.
 * Throws `ConfigError` or `InputError`.
 */
export async function readIssuer(call: Call): Promise<string> {
  const given = call.text('issuer')
  if (given !== undefined) return given.replace(/\/$/, '')
  const { loadConfig } = await import('../config/load.ts')
  try {
    return (await loadConfig(call.config)).issuer
  } catch (cause) {
    if (call.text('server') === undefined) throw cause
    throw usageError('without a configuration, say for which installation: `--issuer URL`')
  }
}
