/**
 * @module
 * The Merkle tree of RFC 6962 §2.1 (RFC 9162 §2.1): hashing, growth, inclusion and consistency. Pure; nodes come in and
 * go out as values, so that every store and every auditor runs the same lines.
 *
 * A node `(level, index)` is the complete subtree over the leaves `index * 2^level` to `(index + 1) * 2^level`. Such a
 * node never changes once the tree covers it, which is why only complete nodes are ever stored.
 */
import { createHash } from 'node:crypto'
import { InputError, IntegrityError } from './errors.ts'

export const HASH_BYTES = 32

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

/** Where a complete subtree stands. */
export interface NodeId {
  readonly level: number
  readonly index: number
}

export interface TreeNode extends NodeId {
  readonly hash: Uint8Array
}

/** Reads a complete subtree; undefined where there is none. */
export type ReadNode = (level: number, index: number) => Uint8Array | undefined

/** The complete subtrees that make up a tree, from left to right: all that is needed to append and to know the root. */
export interface Frontier {
  readonly size: number
  readonly hashes: readonly Uint8Array[]
}

export const EMPTY_FRONTIER: Frontier = { size: 0, hashes: [] }

/** SHA-256(0x00 ‖ entry). */
export function leafHash(entry: Uint8Array): Uint8Array {
  return createHash('sha256').update(LEAF).update(entry).digest()
}

/** SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return createHash('sha256').update(NODE).update(left).update(right).digest()
}

/**
 * Appends one leaf. `completed` holds the leaf and every subtree that it completes, lowest first; store them all.
 * Does not know whether `frontier` belongs to the tree that the caller means.
 */
export function appendLeaf(
  frontier: Frontier,
  hash: Uint8Array,
): { readonly frontier: Frontier; readonly completed: readonly TreeNode[] } {
  const hashes = [...frontier.hashes]
  const completed: TreeNode[] = [{ level: 0, index: frontier.size, hash }]
  let node = hash
  let index = frontier.size
  for (let level = 1; index % 2 === 1; level += 1) {
    const left = hashes.pop()
    if (left === undefined) throw new IntegrityError('the frontier does not fit its size')
    node = nodeHash(left, node)
    index = (index - 1) / 2
    completed.push({ level, index, hash: node })
  }
  hashes.push(node)
  return { frontier: { size: frontier.size + 1, hashes }, completed }
}

/** The root of a tree; SHA-256 of nothing for the empty one (RFC 6962 §2.1). */
export function rootOf(frontier: Frontier): Uint8Array {
  return frontier.size === 0 ? createHash('sha256').digest() : joinHashes(frontier.hashes)
}

/** The root over adjacent complete subtrees, from left to right, such as `toNodes` names them. At least one. */
export function joinHashes(hashes: readonly Uint8Array[]): Uint8Array {
  const last = hashes.at(-1)
  if (last === undefined) throw new IntegrityError('a range of the tree has no nodes')
  return hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last)
}

/** The complete subtrees, from left to right, that cover the leaves `start` to `end` of a range that a tree can have. */
export function toNodes(start: number, end: number): readonly NodeId[] {
  const nodes: NodeId[] = []
  for (let at = start; at < end;) {
    const width = powerAtMost(end - at)
    nodes.push({ level: Math.log2(width), index: at / width })
    at += width
  }
  return nodes
}

/** Restores the frontier of a tree from its nodes, in O(log size). Throws `IntegrityError` where one is missing. */
export function toFrontier(size: number, read: ReadNode): Frontier {
  return { size, hashes: readNodes(toNodes(0, size), read) }
}

/** What has to be read for a proof: one list of nodes for each hash of the proof, to be joined by `joinHashes`. */
export type ProofPlan = readonly (readonly NodeId[])[]

/** PATH(index, D[size]) of RFC 9162 §2.1.3.1, as nodes to read. */
export function planInclusion(index: number, size: number): ProofPlan {
  if (!isCount(index) || !isCount(size) || index >= size) throw new InputError(`no leaf \`${index}\` in \`${size}\``)
  const plan: (readonly NodeId[])[] = []
  let [start, end] = [0, size]
  while (end - start > 1) {
    const middle = start + splitOf(end - start)
    const left = index < middle
    plan.unshift(left ? toNodes(middle, end) : toNodes(start, middle))
    if (left) end = middle
    else start = middle
  }
  return plan
}

/** PROOF(size1, D[size2]) of RFC 9162 §2.1.4.1, as nodes to read. `size1` is at least 1. */
export function planConsistency(size1: number, size2: number): ProofPlan {
  if (!isCount(size1) || !isCount(size2) || size1 < 1 || size1 > size2)
    throw new InputError(`no consistency from \`${size1}\` to \`${size2}\``)
  const plan: (readonly NodeId[])[] = []
  let [start, end] = [0, size2]
  while (end !== size1) {
    const middle = start + splitOf(end - start)
    const left = size1 <= middle
    plan.unshift(left ? toNodes(middle, end) : toNodes(start, middle))
    if (left) end = middle
    else start = middle
  }
  // The subtree that is the whole old tree is known to whoever holds the old root.
  return start === 0 ? plan : [toNodes(start, end), ...plan]
}

/** The inclusion proof of leaf `index` in the tree of `size`. */
export function toInclusionProof(index: number, size: number, read: ReadNode): readonly Uint8Array[] {
  return planInclusion(index, size).map((nodes) => joinHashes(readNodes(nodes, read)))
}

/** The proof that the tree of `size2` extends the tree of `size1`. */
export function toConsistencyProof(size1: number, size2: number, read: ReadNode): readonly Uint8Array[] {
  return planConsistency(size1, size2).map((nodes) => joinHashes(readNodes(nodes, read)))
}

function readNodes(nodes: readonly NodeId[], read: ReadNode): readonly Uint8Array[] {
  return nodes.map(({ level, index }) => {
    const hash = read(level, index)
    if (hash === undefined) throw new IntegrityError(`node \`${index}\` of level \`${level}\` is missing`)
    return hash
  })
}

export interface InclusionClaim {
  readonly index: number
  readonly size: number
  readonly leaf: Uint8Array
  readonly root: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * RFC 9162 §2.1.3.2. True only when `leaf` is leaf `index` of the tree with `size` and `root`. Numbers beyond 2^53 are
 * false, not rounded. Does not promise that the root is anybody's: its checkpoint has to be verified for that.
 */
export function verifyInclusion({ index, size, leaf, root, proof }: InclusionClaim): boolean {
  if (!isCount(index) || !isCount(size) || index >= size) return false
  if (leaf.length !== HASH_BYTES || !proof.every(isHash)) return false
  let [node, last, hash] = [index, size - 1, leaf]
  for (const sibling of proof) {
    if (last === 0) return false
    const fromLeft = node % 2 === 1 || node === last
    hash = fromLeft ? nodeHash(sibling, hash) : nodeHash(hash, sibling)
    // On the right edge the levels at which there is no sibling are passed over.
    if (fromLeft) while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)]
    ;[node, last] = [half(node), half(last)]
  }
  return last === 0 && isSame(hash, root)
}

export interface ConsistencyClaim {
  readonly size1: number
  readonly root1: Uint8Array
  readonly size2: number
  readonly root2: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/**
 * RFC 9162 §2.1.4.2. True only when the tree of `size2` begins with the tree of `size1`. An empty first tree is false:
 * everything extends it, so it proves nothing. Does not promise that either root is anybody's.
 */
export function verifyConsistency({ size1, root1, size2, root2, proof }: ConsistencyClaim): boolean {
  if (!isCount(size1) || !isCount(size2) || size1 < 1 || size1 > size2) return false
  if (root1.length === 0) return false
  if (size1 === size2) return proof.length === 0 && isSame(root1, root2)
  if (!proof.every(isHash)) return false
  const path = powerAtMost(size1) === size1 ? [root1, ...proof] : proof
  const [first, ...rest] = path
  if (first === undefined || proof.length === 0) return false
  return followConsistency({ size1, root1, size2, root2, proof: rest }, first)
}

function followConsistency({ size1, root1, size2, root2, proof }: ConsistencyClaim, first: Uint8Array): boolean {
  let [node, last] = [size1 - 1, size2 - 1]
  while (node % 2 === 1) [node, last] = [half(node), half(last)]
  let [old, now] = [first, first]
  for (const sibling of proof) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      old = nodeHash(sibling, old)
      now = nodeHash(sibling, now)
      while (node % 2 === 0 && node !== 0) [node, last] = [half(node), half(last)]
    } else now = nodeHash(now, sibling)
    ;[node, last] = [half(node), half(last)]
  }
  return last === 0 && isSame(old, root1) && isSame(now, root2)
}

// Arithmetic and not bit operators: those of JavaScript end at 32 bits.
const half = (n: number): number => Math.floor(n / 2)

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

function isHash(hash: Uint8Array): boolean {
  return hash.length === HASH_BYTES
}

/** The largest power of two that is at most `n` (`n` ≥ 1). */
function powerAtMost(n: number): number {
  let power = 1
  while (power * 2 <= n) power *= 2
  return power
}

/** The largest power of two smaller than `n` (`n` ≥ 2): where RFC 6962 splits a range. */
function splitOf(n: number): number {
  return powerAtMost(n - 1)
}

// Public values: nothing here is secret, so the comparison need not take constant time.
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
