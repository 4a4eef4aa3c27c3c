/**
 * @module
 * The last head, kept outside the store (design §6): whoever restores an older store, or a different one, is found at start.
 * An attacker who can write both files is not; that takes a witness.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { IntegrityError, UnavailableError } from '../core/errors.ts'
import { joinHashes, planConsistency, type ProofPlan, verifyConsistency } from '../core/merkle.ts'
import { parseTreeHead } from '../core/tlog.ts'
import { openCheckpoint } from '../crypto/note.ts'
import type { LogReader } from '../ports/store.ts'

export interface HeadKeeper {
  /**
   * Replaces the head: `StoreOptions.onSealed`. Atomic against a crash of the process, and not waited for on the disk: after
   * a loss of power an older head may be found, which the newer tree still extends. Throws `UnavailableError` when the file
   * cannot be written, `IntegrityError` for a head that is shorter than the last.
   */
  readonly write: (checkpoint: string) => void
  /** The head; undefined when there is no file yet. Throws `IntegrityError` when it is not one of this log. */
  readonly read: () => string | undefined
}

/** Keeps the head at `path`, mode 0600; its folder must exist. Does not compare it with any log: `checkHead` does. */
export function createHeadKeeper(path: string, vkey: string): HeadKeeper {
  let newest = 0
  return {
    write(checkpoint) {
      const size = parseTreeHead(checkpoint)?.size ?? -1
      if (size < newest) throw new IntegrityError(`the head of \`${size}\` entries follows one of \`${newest}\``)
      replace(path, checkpoint)
      newest = size
    },
    read() {
      if (!existsSync(path)) return undefined
      const { text, size } = openCheckpoint(readHead(path), vkey)
      newest = Math.max(newest, size)
      return text
    },
  }
}

function replace(path: string, text: string): void {
  try {
    writeFileSync(`${path}.new`, text, { mode: 0o600 })
    renameSync(`${path}.new`, path)
  } catch (cause) {
    throw new UnavailableError(`the head \`${path}\` cannot be written`, { cause })
  }
}

function readHead(path: string): string {
  try {
    return readFileSync(path, 'utf8')
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
