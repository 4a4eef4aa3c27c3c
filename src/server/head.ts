/**
 * @module
 * The last head, kept outside the store (design §6): whoever restores an older store, or a different one, is found at start.
 * An attacker who can write both files is not; that takes a witness.
 *
 * The file has two slots of one page each, written in turn and in place. Nothing is renamed or cut on the way, so that a
 * loss of power leaves one slot whole at least, without a wait for the disk at each group. A file with a checkpoint and
 * nothing else, as version 0.1 wrote it, is read too.
 */
import { closeSync, existsSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { IntegrityError, UnavailableError } from '../core/errors.ts'
import { joinHashes, planConsistency, type ProofPlan, verifyConsistency } from '../core/merkle.ts'
import { parseTreeHead } from '../core/tlog.ts'
import { type Checkpoint, openCheckpoint } from '../crypto/note.ts'
import type { LogReader } from '../ports/store.ts'
import { writeDurably } from './durable-file.ts'

export interface HeadKeeper {
  /**
   * Replaces the head: `StoreOptions.onSealed`. Atomic against a crash of the process, and not waited for on the disk: after
   * a loss of power an older head may be found, which the newer tree still extends. Throws `UnavailableError` when the file
   * cannot be written, `IntegrityError` for a head that is shorter than the last.
   */
  readonly write: (checkpoint: string) => void
  /** The head; undefined when there is no file yet. Throws `IntegrityError` when it is not one of this log. */
  readonly read: () => string | undefined
  /** Gives the file another name, `PATH.NAME`, where it stays for people, and begins anew. Undefined when there is none. */
  readonly setAside: (name: string) => string | undefined
}

const SLOT = 4096
const SLOTS = 2

interface Slots {
  readonly newest: Checkpoint | undefined
  /** Where the next head goes; undefined: the file has to be made first. */
  readonly next: number | undefined
}

/** Keeps the head at `path`, mode 0600; its folder must exist. Does not compare it with any log: `checkHead` does. */
export function createHeadKeeper(path: string, vkey: string): HeadKeeper {
  let newest = 0
  let slots: Slots | undefined
  return {
    write(checkpoint) {
      const size = parseTreeHead(checkpoint)?.size ?? -1
      if (size < newest) throw new IntegrityError(`the head of \`${size}\` entries follows one of \`${newest}\``)
      slots ??= existsSync(path) ? readSlots(path, vkey) : { newest: undefined, next: undefined }
      slots = { newest: undefined, next: put(path, checkpoint, slots.next) }
      newest = size
    },
    read() {
      if (!existsSync(path)) return undefined
      slots = readSlots(path, vkey)
      // Nothing in it is a head of this log: say what is wrong with what should be the first.
      const found = slots.newest ?? openCheckpoint(toText(readHead(path).subarray(0, SLOT)), vkey)
      newest = Math.max(newest, found.size)
      return found.text
    },
    setAside(name) {
      newest = 0
      slots = undefined
      if (!existsSync(path)) return undefined
      const aside = `${path}.${name}`
      renameSync(path, aside)
      return aside
    },
  }
}

/** Writes into a slot, and answers the next one. What is not there, or not there any more, is made whole and on the disk. */
function put(path: string, checkpoint: string, slot: number | undefined): number {
  const page = Buffer.alloc(SLOT)
  if (page.write(checkpoint) < Buffer.byteLength(checkpoint))
    throw new UnavailableError('the head does not fit its slot')
  try {
    if (slot === undefined || !existsSync(path)) {
      writeDurably(path, Buffer.concat([page, Buffer.alloc(SLOT * (SLOTS - 1))]))
      return 1
    }
    const file = openSync(path, 'r+')
    try {
      writeSync(file, page, 0, SLOT, slot * SLOT)
    } finally {
      closeSync(file)
    }
    return (slot + 1) % SLOTS
  } catch (cause) {
    throw new UnavailableError(`the head \`${path}\` cannot be written`, { cause })
  }
}

function readSlots(path: string, vkey: string): Slots {
  const bytes = readHead(path)
  if (bytes.length !== SLOT * SLOTS) return { newest: tryOpen(bytes, vkey), next: undefined }
  const heads = [0, 1].map((slot) => tryOpen(bytes.subarray(slot * SLOT, (slot + 1) * SLOT), vkey))
  const [first, second] = heads
  const isSecond = (second?.size ?? -1) > (first?.size ?? -1)
  return { newest: isSecond ? second : first, next: isSecond ? 0 : 1 }
}

function tryOpen(bytes: Uint8Array, vkey: string): Checkpoint | undefined {
  try {
    return openCheckpoint(toText(bytes), vkey)
  } catch (cause) {
    if (cause instanceof IntegrityError) return undefined
    throw cause
  }
}

function toText(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8')
}

function readHead(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new UnavailableError(`the head \`${path}\` cannot be read`, { cause })
  }
}

/**
 * Throws `IntegrityError` unless the tree of `log` is the tree of `head` or begins with it. O(log n): it reads the nodes of
 * one consistency proof. Does not recompute the tree from its entries: `verifyStore` does.
 */
export async function checkHead(log: LogReader, head: string, vkey: string): Promise<void> {
  const old = openCheckpoint(head, vkey)
  if (old.size === 0) return
  const checkpoint = await log.checkpoint()
  if (checkpoint === undefined) throw new IntegrityError('the log is empty and the head outside it is not')
  const now = openCheckpoint(checkpoint, vkey)
  if (now.size < old.size)
    throw new IntegrityError(`the log has \`${now.size}\` entries and the head outside it \`${old.size}\``)
  const proof = await readProof(log, planConsistency(old.size, now.size))
  const claim = { size1: old.size, root1: old.root, size2: now.size, root2: now.root, proof }
  if (!verifyConsistency(claim)) throw new IntegrityError('the log does not begin with the tree of the head outside it')
}

/** The hashes of a proof, read from a log. Throws `IntegrityError` where a node is missing. */
export async function readProof(log: LogReader, plan: ProofPlan): Promise<readonly Uint8Array[]> {
  const hashes: Uint8Array[] = []
  for (const nodes of plan) {
    const found = await Promise.all(nodes.map(({ level, index }) => log.node(level, index)))
    const present = found.filter((hash) => hash !== undefined)
    if (present.length < nodes.length) throw new IntegrityError('a node of the tree is missing')
    hashes.push(joinHashes(present))
  }
  return hashes
}
