/**
 * @module
 * Follows a page of the guide as a person would: saves its files, makes its changes, types its commands into one shell, and
 * gives what each block showed beside what the page says that it shows.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'

export interface Block {
  /** The line of the page that it begins on. */
  readonly line: number
  readonly language: string
  readonly text: string
  /** The `##` that it stands under. */
  readonly part: string
}

export function readBlocks(path: string): readonly Block[] {
  const page = readFileSync(path, 'utf8')
  return [...page.matchAll(/^```([a-z]+)\n(.*?)^```$/gms)].map(({ index, 1: language = '', 2: text = '' }) => {
    const before = page.slice(0, index)
    const part = before.split(/^## /m).at(-1)?.split('\n')[0] ?? ''
    return { line: before.split('\n').length, language, text, part }
  })
}

export interface Typed {
  /** Standard output and standard error, in the order in which they came. */
  readonly shown: string
  /** The exit codes other than 0 of the commands of the block, in order. */
  readonly failed: readonly number[]
}

export interface Shell {
  type(text: string): Promise<Typed>
  /** Where it stands, for files that the page has the reader change. */
  cwd(): Promise<string>
  /** Ends it, and everything that it started. */
  close(): Promise<void>
}

/** What this shell says, when it comes to it, of a server that the page kills; a person sees it at their next prompt. */
const KILLED = /^.*: line \d+: +\d+ Killed .*\n/gm

/** One `bash` for the whole page: variables, folders and jobs in the background stay. `scratch` is outside of the page's folder. */
export function openShell(cwd: string, scratch: string, env: NodeJS.ProcessEnv): Shell {
  const child = spawn('bash', ['--norc', '--noprofile'], {
    cwd,
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const lines = createInterface({ input: child.stdout })
  let count = 0
  return {
    async type(text) {
      count += 1
      const at = (name: string): string => join(scratch, `${count}.${name}`)
      // A trap sees each command of the block; the codes go beside what is shown.
      writeFileSync(at('sh'), `trap 'echo $? >> ${at('failed')}' ERR\n${text}\ntrap - ERR\n`)
      await say(child, lines, `. ${at('sh')} > ${at('out')} 2>&1`)
      const failed = existsSync(at('failed')) ? readFileSync(at('failed'), 'utf8').trim().split('\n').map(Number) : []
      return { shown: readFileSync(at('out'), 'utf8').replaceAll(KILLED, ''), failed }
    },
    cwd: async () => say(child, lines, 'pwd'),
    async close() {
      if (child.exitCode === null && child.pid !== undefined) {
        const ended = once(child, 'exit')
        process.kill(-child.pid, 'SIGKILL')
        await ended
      }
    },
  }
}

/** Says it and waits until it was done; answers the last line before that. */
async function say(child: ChildProcess, lines: Interface, command: string): Promise<string> {
  let last = ''
  const done = new Promise<void>((resolve, reject) => {
    const hear = (line: string): void => {
      if (line !== 'page-shell: done') {
        last = line
        return
      }
      lines.off('line', hear)
      child.off('exit', gone)
      resolve()
    }
    const gone = (): void => reject(new Error(`the shell ended in \`${command}\``))
    lines.on('line', hear)
    child.once('exit', gone)
  })
  child.stdin?.write(`${command}\necho 'page-shell: done'\n`)
  await done
  return last
}

/** The exit codes that a block says its commands end with, in order: `# exit code N` behind a command. */
export function toExpectedCodes(text: string): readonly number[] {
  return [...text.matchAll(/# exit code (\d+)$/gm)].map(([, code]) => Number(code))
}

/** All of it, where `…` is anything within a line, and on a line of its own any lines, also none. */
export function toPattern(text: string): RegExp {
  const lines = text.trimEnd().split('\n')
  const parts = lines.map((line) =>
    line === '…'
      ? '(?:.*\\n)*?'
      : `${line.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`).replaceAll('…', '.*')}\\n`,
  )
  return new RegExp(`^${parts.join('')}$`, 'u')
}

/** Puts each line `key: value` of `change` in the place of the one line of `yaml` that begins with its key. */
export function changeYaml(yaml: string, change: string): string {
  return change
    .trim()
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .reduce((text, line) => {
      const key = line.slice(0, line.indexOf(':') + 1)
      const found = text.split('\n').filter((each) => each.startsWith(key))
      if (found.length !== 1) throw new Error(`\`${key}\` stands ${found.length} times at the beginning of a line`)
      return text.replace(found[0] ?? '', () => line)
    }, yaml)
}
