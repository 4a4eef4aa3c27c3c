/**
 * @module
 * What the cases of the store contract share. Depends on no test runner.
 */
import assert from 'node:assert/strict'
import type { CommitResult, CommitUnit, Json, Seal, Store, StoreOptions } from '../../index.ts'

/** Makes a store that nobody used before. */
export type MakeStore = (options: StoreOptions) => Promise<Store>

/**
 * A seal whose checkpoint has the form of C2SP and a signature that nobody made. For tests only.
 * @param before Called first; what it throws is a seal that fails.
 */
export function createTestSeal(before: () => void = () => undefined): Seal {
  return (size, root) => {
    before()
    return `test.example/log\n${size}\n${Buffer.from(root).toString('base64')}\n\n— test.example/log AAAAAA==\n`
  }
}

type Applied = Extract<CommitResult, { status: 'applied' }>

export const quiet: StoreOptions = { seal: createTestSeal() }
export const INPUT: { readonly code: string } = { code: 'ERR_UNBEARER_INPUT' }
export const UNAVAILABLE: { readonly code: string } = { code: 'ERR_UNBEARER_UNAVAILABLE' }

export const toBytes = (text: string): Uint8Array => Buffer.from(text)
export const toEntry = (id: string): CommitUnit => ({ entries: [{ id, bytes: toBytes(`entry ${id}`) }] })

export interface Case {
  readonly name: string
  readonly run: (make: MakeStore) => Promise<void>
}

export async function using(
  make: MakeStore,
  options: StoreOptions,
  use: (store: Store) => Promise<void>,
): Promise<void> {
  const store = await make(options)
  try {
    await use(store)
  } finally {
    await store.close()
  }
}

export async function apply(store: Store, unit: CommitUnit): Promise<Applied> {
  const result = await store.commit(unit)
  assert.equal(result.status, 'applied')
  assert(result.status === 'applied')
  return result
}

export async function persist(store: Store, unit: CommitUnit): Promise<readonly number[]> {
  const { indexes, durable } = await apply(store, unit)
  await durable
  return indexes
}

export async function put(store: Store, key: string, value: Json): Promise<void> {
  await persist(store, { writes: [{ key, value }] })
}

export async function version(store: Store, key: string): Promise<number> {
  const [record] = await store.get([key])
  return record?.version ?? 0
}

export async function keysOf(
  store: Store,
  prefix: string,
  options?: { after?: string; limit?: number },
): Promise<string[]> {
  return (await store.list(prefix, options)).map(({ key }) => key)
}

export function toText(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : Buffer.from(value).toString()
}
