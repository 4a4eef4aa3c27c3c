/**
 * @module
 * The texts of sealed records that were opened of late. A decision reads the same task and history again and again; a
 * version never comes back, so that a text under its key and version is right for as long as its subject's key lives.
 */
export interface OpenedRecords {
  find(key: string, version: number): string | undefined
  keep(key: string, version: number, text: string): void
  clear(): void
}

/** At most so many texts of at most so many characters: some 8 MB. */
const CACHED_TEXTS = 512
const CACHED_LENGTH = 8192

/** Bounded; what is too long is not kept. Whoever destroys a key clears it. */
export function createOpenedRecords(): OpenedRecords {
  const cache = new Map<string, { readonly version: number; readonly text: string }>()
  return {
    find(key, version) {
      const found = cache.get(key)
      return found?.version === version ? found.text : undefined
    },
    keep(key, version, text) {
      cache.delete(key)
      if (text.length > CACHED_LENGTH) return
      cache.set(key, { version, text })
      const oldest = cache.keys().next()
      if (cache.size > CACHED_TEXTS && oldest.done !== true) cache.delete(oldest.value)
    },
    clear: () => cache.clear(),
  }
}
