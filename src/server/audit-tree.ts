/**
 * @module
 * Recomputes a tree from its entries and compares everything that was stored of it, wherever it is stored. Names the first
 * entry that is not what was logged.
 */
import {
  appendLeaf,
  EMPTY_FRONTIER,
  type Frontier,
  HASH_BYTES,
  leafHash,
  rootOf,
  type TreeNode,
} from '../core/merkle.ts'
import { parseEntry, type ParsedEntry } from '../core/parse-entry.ts'
import { TILE_WIDTH } from '../core/tlog.ts'

export interface TreeSource {
  readonly size: number
  /** The entry at `index`; undefined where there is none. */
  readonly entry: (index: number) => Promise<Uint8Array | undefined>
  /** Whether nodes of `level` are stored. */
  readonly hasLevel: (level: number) => boolean
  readonly node: (level: number, index: number) => Promise<Uint8Array | undefined>
  /** What else is wrong with an entry that reads well. */
  readonly inspect?: (index: number, entry: ParsedEntry) => Promise<string | undefined>
}

export interface TreeFindings {
  /** Of the tree that the entries have. */
  readonly root: Uint8Array
  /** The root of the first `n` entries, for the size that was asked for. */
  readonly rootAtHead: Uint8Array | undefined
  readonly firstBad: number | undefined
  readonly problems: readonly string[]
}

interface Walk {
  readonly source: TreeSource
  readonly problems: string[]
  /** The tree that the entries have, and the one that the stored leaf hashes have: a difference shows which of them is bad. */
  fromEntries: Frontier
  fromLeaves: Frontier
  rootAtHead?: Uint8Array
  /** The first entry whose hash is not the stored one. */
  firstDifferent?: number
  /** The first entry that is not a log entry at all. */
  firstUnreadable?: number
}

/** Problems beyond these are counted, not listed: a broken log of a million entries is as broken. */
const MAX_PROBLEMS = 20

/**
 * Walks the whole tree. `expected` is the root that was signed. Does not verify any signature, and does not know of entries
 * that were never logged.
 */
export async function auditTree(
  source: TreeSource,
  expected: Uint8Array,
  options: { readonly headSize?: number; readonly onProgress?: (done: number, size: number) => void } = {},
): Promise<TreeFindings> {
  const walk: Walk = { source, problems: [], fromEntries: EMPTY_FRONTIER, fromLeaves: EMPTY_FRONTIER }
  for (let index = 0; index < source.size; index += 1) {
    await auditEntry(walk, index)
    if (walk.fromEntries.size === options.headSize) walk.rootAtHead = rootOf(walk.fromEntries)
    if (walk.fromEntries.size % TILE_WIDTH === 0) options.onProgress?.(walk.fromEntries.size, source.size)
  }
  return conclude(walk, expected)
}

async function auditEntry(walk: Walk, index: number): Promise<void> {
  const bytes = await walk.source.entry(index)
  const stored = await walk.source.node(0, index)
  const leaf = bytes === undefined ? new Uint8Array(HASH_BYTES) : leafHash(bytes)
  if (bytes === undefined) walk.problems.push(`entry ${index} is missing or cut off`)
  else await auditLeaf(walk, index, bytes)
  if (stored === undefined || !isSame(leaf, stored)) {
    walk.firstDifferent ??= index
    walk.problems.push(`entry ${index} does not have the stored leaf hash`)
  }
  await auditNodes(walk, leaf, stored ?? leaf)
}

async function auditLeaf(walk: Walk, index: number, bytes: Uint8Array): Promise<void> {
  const entry = parseEntry(bytes)
  if (entry === undefined) {
    walk.firstUnreadable ??= index
    walk.problems.push(`entry ${index} is not a log entry in canonical form`)
    return
  }
  const more = await walk.source.inspect?.(index, entry)
  if (more !== undefined) walk.problems.push(more)
}

/** A node is good if it fits either tree: one bad leaf hash should not accuse every node above it. */
async function auditNodes(walk: Walk, leaf: Uint8Array, stored: Uint8Array): Promise<void> {
  const entries = appendLeaf(walk.fromEntries, leaf)
  const leaves = appendLeaf(walk.fromLeaves, stored)
  for (const [i, node] of entries.completed.entries()) {
    const other = leaves.completed[i]
    if (node.level > 0 && walk.source.hasLevel(node.level)) await auditNode(walk, node, other?.hash ?? node.hash)
  }
  walk.fromEntries = entries.frontier
  walk.fromLeaves = leaves.frontier
}

async function auditNode(walk: Walk, { level, index, hash }: TreeNode, other: Uint8Array): Promise<void> {
  const stored = await walk.source.node(level, index)
  if (stored !== undefined && (isSame(stored, hash) || isSame(stored, other))) return
  const [first, end] = [index * 2 ** level, (index + 1) * 2 ** level]
  walk.problems.push(`the stored hash over entries ${first} to ${end - 1} is not theirs`)
}

function conclude(walk: Walk, expected: Uint8Array): TreeFindings {
  const root = rootOf(walk.fromEntries)
  const signed = isSame(root, expected)
  if (!signed) walk.problems.push('the entries do not have the root that the checkpoint states')
  // When the entries have the signed root, a different stored hash is what is bad, and no entry is.
  const bad = [signed ? undefined : walk.firstDifferent, walk.firstUnreadable].filter((index) => index !== undefined)
  const hidden = walk.problems.length - MAX_PROBLEMS
  const problems = walk.problems.slice(0, MAX_PROBLEMS)
  return {
    root,
    rootAtHead: walk.rootAtHead,
    firstBad: bad.length === 0 ? undefined : Math.min(...bad),
    problems: hidden > 0 ? [...problems, `and ${hidden} more`] : problems,
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.from(a).equals(b)
}
