/**
 * @module
 * The command line as a process of its own.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Ran {
  readonly exit: number | null
  readonly out: string
  readonly err: string
}

/** Runs `unbearer` and collects what it says. */
export async function unbearer(...args: readonly string[]): Promise<Ran> {
  return runWith({}, ...args)
}

/** The same with another environment, in another folder. */
export async function runWith(
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string },
  ...args: readonly string[]
): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, err, exit] = await Promise.all([
    read(child.stdout),
    read(child.stderr),
    new Promise<number | null>((resolve) => {
      child.on('close', resolve)
    }),
  ])
  return { exit, out, err }
}

async function read(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}
