/**
 * @module
 * Whether a command was started by what it is meant to judge. Tool servers that the gateway started are marked in their
 * environment, and an agent is the parent of the bridge that it started; neither answers approvals or gives passphrases.
 *
 * Looked at are this process, its ancestors, and who else holds the pipe from which a passphrase is read, in `/proc`.
 */
import { fstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

import { RefusedError } from '../core/errors.ts'

/** Set by `src/adapters/mcp/stdio-upstream.ts` for every process that it starts, and inherited by what those start. */
const MARK = 'UNBEARER_SPAWNED'
/** More ancestors than any shell has; a loop in what we read must end. */
const MOST = 128

/**
 * Throws `RefusedError` when this process, or one of its ancestors, was started by the gateway. Does not stop a process that
 * took the mark off before it started anything and then left its parent, nor anything on systems without `/proc` that took
 * the mark off: keep the key of a person from the user of the agent.
 */
export function assertNotSpawned(): void {
  if (process.env[MARK] === undefined && !lineOf(process.pid).some(isMarked)) return
  throw refused('this was started by a tool server of the gateway')
}

/**
 * Throws `RefusedError` when a passphrase on this descriptor would come from a tool server or an agent: started by one, or
 * read from a pipe that one holds. Promises no more than `assertNotSpawned`, and cannot see processes of other users.
 */
export function assertPersonsInput(fd: number): void {
  assertNotSpawned()
  const agents = findAgents()
  const isTheirs = (pid: number): boolean => lineOf(pid).some((each) => agents.has(each) || isMarked(each))
  if (lineOf(process.pid).some((pid) => agents.has(pid))) throw refused('this was started by an agent')
  const holders = holdersOf(fd)
  if (holders.some(isTheirs)) throw refused('the input belongs to a tool server or an agent')
}

function refused(why: string): RefusedError {
  return new RefusedError('policy.denied', `${why}; a person has to run it, in a shell of their own`)
}

/** A process and its ancestors, nearest first. */
function lineOf(pid: number): readonly number[] {
  const line: number[] = []
  for (let next = pid; next > 1 && line.length < MOST && !line.includes(next); next = parentOf(next)) line.push(next)
  return line
}

/** The name of a program may hold anything, also parentheses; what follows the last one is numbers. */
function parentOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`)
  const [, parent = '0'] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(parent)
}

function isMarked(pid: number): boolean {
  return read(`/proc/${pid}/environ`)
    .split('\0')
    .some((line) => line.startsWith(`${MARK}=`))
}

/** The parents of bridges that speak over a pipe: an agent starts those. A person who tries one on a terminal is none. */
function findAgents(): ReadonlySet<number> {
  const bridges = processes().filter((pid) => isBridge(pid) && /^(pipe|socket):/.test(link(`/proc/${pid}/fd/0`)))
  return new Set(bridges.map(parentOf).filter((pid) => pid > 1))
}

function isBridge(pid: number): boolean {
  const words = read(`/proc/${pid}/cmdline`).split('\0').slice(0, 4)
  const at = words.findIndex((word) => /(^|\/)(unbearer|cli\/main\.[jt]s)$/.test(word))
  const [command = ''] = at < 0 ? [] : words.slice(at + 1)
  return command === 'mcp' || (command === 'connect' && read(`/proc/${pid}/cmdline`).split('\0').includes('--stdio'))
}

/** The other processes that have the same pipe open, with a name or without. */
function holdersOf(fd: number): readonly number[] {
  const target = link(`/proc/self/fd/${fd}`)
  if (!attempt(() => fstatSync(fd).isFIFO(), false)) return []
  return processes().filter((pid) => pid !== process.pid && openedBy(pid).includes(target))
}

function openedBy(pid: number): readonly string[] {
  return names(`/proc/${pid}/fd`).map((fd) => link(`/proc/${pid}/fd/${fd}`))
}

function processes(): readonly number[] {
  return names('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
}

/** What cannot be read is somebody else's, or has gone: then there is nothing to see. */
function attempt<T>(look: () => T, otherwise: T): T {
  try {
    return look()
  } catch {
    return otherwise
  }
}

const read = (path: string): string => attempt(() => readFileSync(path, 'latin1'), '')
const link = (path: string): string => attempt(() => readlinkSync(path), '')
const names = (path: string): readonly string[] => attempt(() => readdirSync(path), [])
