/**
 * @module
 * A passphrase: from a file descriptor, or typed by a person without being shown. Never from an argument or the environment,
 * where other processes could read it.
 */
import { isUtf8 } from 'node:buffer'
import { fstatSync, readSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

import { ConfigError, InputError } from '../core/errors.ts'
import { usageError, type Call } from './command.ts'
import { assertPersonsInput } from './spawned.ts'

/** No passphrase is longer; a file that is would be something else. */
const MOST_BYTES = 1_024
/** How long to wait, in all ten seconds, on a descriptor that answers at once that there is nothing yet. */
const [WAIT_MS, MOST_WAITS] = [50, 200]

/** How a command comes by the passphrase of a key, asked only when the key is sealed. */
export function toPassphrase(call: Call, option = 'passphrase-fd'): () => Promise<string> {
  const given = call.text(option)
  return async () => (given === undefined ? askOnce('passphrase: ') : fromDescriptor(given, option))
}

/** A passphrase for a new key: from the descriptor, or typed twice. Throws `InputError` when they differ. */
export async function readNewPassphrase(call: Call, option = 'passphrase-fd'): Promise<string> {
  const given = call.text(option)
  if (given !== undefined) return fromDescriptor(given, option)
  const first = await askOnce('new passphrase: ')
  if ((await askOnce('once more: ')) === first) return first
  throw new InputError('the two are not the same')
}

/** The first line, without its end. */
async function fromDescriptor(given: string, option: string): Promise<string> {
  if (!/^[0-9]{1,4}$/.test(given)) throw usageError(`\`--${option}\` is the number of a file descriptor`)
  const fd = Number(given)
  assertPersonsInput(fd)
  try {
    return toText(toLine(await readToEnd(fd)))
  } catch (cause) {
    if (cause instanceof InputError) throw cause
    throw new ConfigError(`file descriptor ${given} cannot be read, is it open`, { cause })
  }
}

/** Up to the end of the line or more bytes than any passphrase has. The descriptor stays open: it may be one of Node's own. */
async function readToEnd(fd: number): Promise<Buffer> {
  const stats = fstatSync(fd)
  if (!stats.isFIFO() && !stats.isFile() && !stats.isSocket() && !stats.isCharacterDevice())
    throw new Error('not readable')
  const buffer = Buffer.alloc(MOST_BYTES + 2)
  let length = 0
  for (let waits = 0; waits < MOST_WAITS && length < buffer.length;) {
    const count = readSome(fd, buffer, length)
    if (count === 0 || buffer.subarray(length, length + (count ?? 0)).includes(10))
      return buffer.subarray(0, length + (count ?? 0))
    if (count === undefined) {
      waits += 1
      await setTimeout(WAIT_MS)
    } else length += count
  }
  return buffer.subarray(0, length)
}

/** Undefined when there is nothing yet on a descriptor that does not wait. */
function readSome(fd: number, buffer: Buffer, at: number): number | undefined {
  try {
    return readSync(fd, buffer, at, buffer.length - at, null)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') return undefined
    throw cause
  }
}

function toLine(bytes: Buffer): Buffer {
  const end = bytes.indexOf(10)
  const line = end < 0 ? bytes : bytes.subarray(0, end)
  return line.at(-1) === 13 ? line.subarray(0, -1) : line
}

function toText(bytes: Buffer): string {
  if (bytes.length === 0) throw new InputError('the passphrase is empty')
  if (bytes.length > MOST_BYTES || !isUtf8(bytes)) throw new InputError('that is not a passphrase')
  return bytes.toString('utf8')
}

async function askOnce(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) throw new ConfigError('the key is sealed: give its passphrase with `--passphrase-fd N`')
  assertPersonsInput(0)
  // Before the prompt: what is typed at once must not be shown either.
  stdin.setRawMode(true)
  stderr.write(prompt)
  try {
    return toText(await readTyped(stdin))
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

const [RETURN, LINE_FEED, INTERRUPT, END, BACKSPACE, DELETE] = [13, 10, 3, 4, 8, 127]

async function readTyped(input: NodeJS.ReadStream): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const typed: number[] = []
    const settle = (act: () => void): void => {
      input.off('data', onData)
      act()
    }
    const onData = (chunk: Buffer): void => {
      for (const byte of chunk) {
        if (byte === INTERRUPT || byte === END) return settle(() => reject(new InputError('not answered')))
        if (byte === RETURN || byte === LINE_FEED) return settle(() => resolve(Buffer.from(typed)))
        if (byte === BACKSPACE || byte === DELETE) dropCharacter(typed)
        else typed.push(byte)
      }
    }
    input.on('data', onData)
    input.resume()
  })
}

/** A character may have several bytes: those that go on with one begin with the bits `10`. */
function dropCharacter(typed: number[]): void {
  while (((typed.at(-1) ?? 0) & 0xc0) === 0x80) typed.pop()
  typed.pop()
}
