/**
 * @module
 * `unbearer serve` as a process of its own, which can be killed.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface ServeChild {
  readonly pid: number
  readonly origin: string
  /** All that it wrote for its operator so far. */
  said(): string
  /** `kill -9`; settles when it is gone. */
  kill(): Promise<void>
  /** Asks it to stop. */
  stop(): Promise<void>
  /** Sends a signal and waits for nothing. */
  signal(signal: NodeJS.Signals): void
  /** Settles with its exit code when it is gone. */
  readonly exit: Promise<number | null>
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'cli', 'main.ts')

/** Starts it in `dir` and waits until it listens. Rejects with what it said when it ends before. */
export async function startServe(dir: string, ...options: readonly string[]): Promise<ServeChild> {
  return startServeUnder(dir, {}, ...options)
}

/** The same with more in its environment. */
export async function startServeUnder(
  dir: string,
  env: Readonly<Record<string, string>>,
  ...options: readonly string[]
): Promise<ServeChild> {
  const serve = [process.execPath, MAIN, 'serve', '--config', join(dir, 'unbearer.yaml'), '--json', ...options]
  // Given by `env`, which is not under it itself: a library that is preloaded may hide from what its first process starts.
  const command = ['env', ...Object.entries(env).map(([name, value]) => `${name}=${value}`), ...serve]
  // A limit on the size of files then makes writes fail, as a full disk does, and does not end the process.
  const child = spawn('sh', ['-c', `trap '' XFSZ; exec "$0" "$@"`, ...command], {
    cwd: dir,
    env: process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const chunks: string[] = []
  const { promise: started, resolve, reject } = Promise.withResolvers<string>()
  const gone = new Promise<number | null>((done) => child.once('exit', (code) => done(code)))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => void chunks.push(chunk))
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    chunks.push(chunk)
    const origin = /"origin":"([^"]+)"/.exec(chunks.join(''))?.[1]
    if (origin !== undefined) resolve(origin)
  })
  child.once('exit', () => reject(new Error(`serve ended: ${chunks.join('')}`)))
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal)
    await gone
  }
  return {
    origin: await started,
    pid: child.pid ?? -1,
    said: () => chunks.join(''),
    kill: async () => end('SIGKILL'),
    stop: async () => end('SIGTERM'),
    signal: (signal) => void child.kill(signal),
    exit: gone,
  }
}
