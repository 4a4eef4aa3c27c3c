/**
 * @module
 * The tree of the definition, written as RFC 6962 §2.1 writes it; on purpose not the code under test.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type { Store } from '../../index.ts'

/** The newest checkpoint covers exactly the log, and its root is that of the definition. */
export async function verifyLog(store: Store): Promise<void> {
  const checkpoint = await store.log.checkpoint()
  assert(checkpoint !== undefined)
  assert.equal(checkpoint.split('\n')[1], String(await store.log.size()))
  await verifyHead(store, checkpoint)
}

export async function verifyHead(store: Store, checkpoint: string): Promise<void> {
  const [, size, root] = checkpoint.split('\n')
  const entries = await store.log.entries(0, Number(size))
  assert.equal(entries.length, Number(size))
  assert.equal(root, treeHash(entries).toString('base64'))
}

export async function verifyNode(store: Store, level: number, index: number, size: number): Promise<void> {
  const width = 2 ** level
  const entries = await store.log.entries(index * width, (index + 1) * width)
  const node = await store.log.node(level, index)
  if ((index + 1) * width > size) assert.equal(node, undefined)
  else assert.equal(Buffer.from(node ?? []).toString('hex'), treeHash(entries).toString('hex'))
}

/** MTH of RFC 6962 §2.1, as the RFC writes it; on purpose not the code under test. */
function treeHash(entries: readonly Uint8Array[]): Buffer {
  const [first] = entries
  if (first === undefined) return createHash('sha256').digest()
  if (entries.length === 1) return createHash('sha256').update('\u0000').update(first).digest()
  let k = 1
  while (k * 2 < entries.length) k *= 2
  const halves = [treeHash(entries.slice(0, k)), treeHash(entries.slice(k))]
  return createHash('sha256').update('\u0001').update(Buffer.concat(halves)).digest()
}
