/**
 * @module
 * A store that seals: evidence, and records that are written with a subject, are encrypted on the way in and opened on the
 * way out (`crypto/vault.ts`). Whoever uses it sees the port `Store` and nothing of keys.
 *
 * Every unit names the version of each key that it seals under among its reads. So a key is stored in the unit that first
 * seals with it or not at all, and nothing is ever sealed under a key that was undone or destroyed meanwhile: that commit
 * conflicts here, and is sealed again under the key that is there.
 */
import { InvariantError, UnavailableError } from '../core/errors.ts'
import { isJsonObject, type Json } from '../core/json.ts'
import { SEALED_PREFIXES, subjectKeyRecord } from '../core/records.ts'
import { decodeBase64url } from '../crypto/base64.ts'
import { type MasterKey, open, parseSealed, seal, type Sealed, tagOf } from '../crypto/vault.ts'
import type {
  CommitResult,
  CommitUnit,
  EvidenceState,
  NewEvidence,
  Store,
  StoredRecord,
  Write,
} from '../ports/store.ts'
import { createOpenedRecords, type OpenedRecords } from './opened-records.ts'
import { assertMaster, createSubjectKeys, type SealingKey, type SubjectKeys, toJson } from './subject-keys.ts'

export interface Owned {
  readonly key: string
  readonly tag?: string
}

export interface SealedStore extends Store {
  /** Why `evidence` answers nothing. Opens nothing. */
  evidenceState(id: string): Promise<EvidenceState>
  /** What stands for a subject in what is not sealed. */
  tagOf(subject: string): Promise<string>
  /** Whose the records under `prefix` are, as `list` would page them; `tag` is absent where one is not sealed. Opens nothing. */
  listOwners(prefix: string, options?: { readonly after?: string }): Promise<readonly Owned[]>
  /** The id of the key that a tag has now; undefined when there is none. */
  keyOf(tag: string): Promise<string | undefined>
  /**
   * Destroys the key of a tag in the same unit as `unit`, if it is one of `ids`. False when it is not, or there is none: then
   * nothing was committed. Settles when it is durable. Does not remove its bytes from the files of the store (`scrub`), and not
   * from backups.
   */
  destroyKey(tag: string, ids: readonly string[], unit: CommitUnit): Promise<boolean>
}

/** How often a unit is sealed again because a key changed under it. */
const ATTEMPTS = 8

/**
 * Seals what goes into `inner`. `source` is asked once, when it is first needed, and its key is compared with the one of the
 * store: `ConfigError` when it is another. What a version before has written in the clear is still read.
 * Does not hide ids, times, sizes or who shares a subject with whom, and proves nothing against whoever writes the store.
 */
export function createSealedStore(inner: Store, source: () => MasterKey): SealedStore {
  let known: Promise<MasterKey> | undefined
  let master: MasterKey | undefined
  const toMaster = async (): Promise<MasterKey> => {
    known ??= openMaster(inner, source)
    master = await known
    return master
  }
  const keys = createSubjectKeys(inner, toMaster)
  const opened = createOpenedRecords()
  const sealed: SealedStore = {
    log: inner.log,
    get: async (names) => openRecords(keys, opened, await inner.get(names)),
    list: async (prefix, options) => {
      const records = await openRecords(keys, opened, await inner.list(prefix, options))
      return records.filter((record) => record !== undefined)
    },
    async commit(unit) {
      assertOwned(unit)
      if (!isSealing(unit)) return inner.commit(unit)
      return commit(inner, keys, master ?? (await toMaster()), unit)
    },
    async evidence(id) {
      const stored = await inner.evidence(id)
      const form = stored === undefined ? undefined : parseSealed(stored)
      if (form === undefined) return stored
      const states = await keys.read([form.tag])
      const key = keys.find(states.get(form.tag), form.tag, form.keyId)
      return key === undefined ? undefined : open(key, { kind: 'evidence', id }, form)
    },
    async evidenceState(id) {
      const stored = await inner.evidence(id)
      if (stored === undefined) return 'dropped'
      const form = parseSealed(stored)
      const state = form === undefined ? undefined : (await keys.read([form.tag])).get(form.tag)
      return form !== undefined && state?.stored.erased.includes(form.keyId) === true ? 'erased' : 'kept'
    },
    listEvidence: async (options) => inner.listEvidence(options),
    tagOf: async (subject) => tagOf(await toMaster(), subject),
    async listOwners(prefix, options) {
      return (await inner.list(prefix, options)).map((record) => {
        const tag = toSealed(record)?.tag
        return { key: record.key, ...(tag === undefined ? {} : { tag }) }
      })
    },
    keyOf: async (tag) => (await keys.read([tag])).get(tag)?.stored.current?.id,
    async destroyKey(tag, ids, unit) {
      const destroyed = await destroyKey(sealed, keys, tag, ids, unit)
      opened.clear()
      return destroyed
    },
    scrub: async (options) => inner.scrub(options),
    check: async () => inner.check(),
    close: async () => inner.close(),
  }
  return sealed
}

async function openMaster(inner: Store, source: () => MasterKey): Promise<MasterKey> {
  const master = source()
  await assertMaster(inner, master)
  return master
}

/** Whoever adds a place where prompts or arguments are kept must say whose they are. */
function assertOwned({ writes = [] }: CommitUnit): void {
  const stray = writes.find(
    ({ key, value, subject }) =>
      value !== undefined && subject === undefined && SEALED_PREFIXES.some((prefix) => key.startsWith(prefix)),
  )
  if (stray !== undefined) throw new InvariantError(`\`${stray.key}\` is written without its subject`)
}

function isSealing({ evidence = [], writes = [] }: CommitUnit): boolean {
  return evidence.length > 0 || writes.some(({ subject, value }) => subject !== undefined && value !== undefined)
}

async function commit(inner: Store, keys: SubjectKeys, master: MasterKey, unit: CommitUnit): Promise<CommitResult> {
  const tags = toTags(master, unit)
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const held = new Map<string, SealingKey>()
    for (const tag of new Set(tags.values())) held.set(tag, keys.known(tag) ?? (await keys.load(tag)))
    const result = await inner.commit(toSealedUnit(unit, tags, held))
    if (result.status !== 'conflict') return result
    const ours = new Map([...held.keys()].map((tag) => [subjectKeyRecord(tag), tag]))
    const others = result.keys.filter((key) => !ours.has(key))
    for (const key of result.keys) keys.forget(ours.get(key) ?? '')
    if (others.length > 0 || result.keys.length === 0) return { status: 'conflict', keys: others }
  }
  throw new UnavailableError('the key of a subject keeps changing, try again')
}

/** Every subject of a unit, with its tag. */
function toTags(master: MasterKey, { evidence = [], writes = [] }: CommitUnit): ReadonlyMap<string, string> {
  const subjects = [...evidence, ...writes].flatMap(({ subject }) => (subject === undefined ? [] : [subject]))
  return new Map([...new Set(subjects)].map((subject) => [subject, tagOf(master, subject)]))
}

function toSealedUnit(
  unit: CommitUnit,
  tags: ReadonlyMap<string, string>,
  held: ReadonlyMap<string, SealingKey>,
): CommitUnit {
  const take = (subject: string): { readonly tag: string; readonly key: SealingKey['key'] } => {
    const tag = tags.get(subject) ?? ''
    const key = held.get(tag)?.key
    if (key === undefined) throw new InvariantError('a subject has no key')
    return { tag, key }
  }
  const toWrite = ({ key: name, value, subject }: Write): Write => {
    if (value === undefined || subject === undefined) return value === undefined ? { key: name } : { key: name, value }
    const { tag, key } = take(subject)
    const bytes = seal(key, { kind: 'record', id: name, tag }, Buffer.from(JSON.stringify(value)))
    return { key: name, value: { sealed: Buffer.from(bytes).toString('base64url') } }
  }
  const toEvidence = ({ id, subject, bytes }: NewEvidence): NewEvidence => {
    const { tag, key } = take(subject)
    return { id, subject: tag, bytes: seal(key, { kind: 'evidence', id, tag }, bytes) }
  }
  const versions = [...held].map(([tag, { version }]) => [subjectKeyRecord(tag), version] as const)
  const fresh = [...held.values()].flatMap((each) => each.fresh ?? [])
  return {
    ...unit,
    reads: { ...unit.reads, ...Object.fromEntries(versions) },
    writes: [...fresh, ...(unit.writes ?? []).map(toWrite)],
    evidence: (unit.evidence ?? []).map(toEvidence),
  }
}

/** Opens what is sealed; what was erased reads as null, under the version that it has. */
async function openRecords(
  keys: SubjectKeys,
  opened: OpenedRecords,
  stored: readonly (StoredRecord | undefined)[],
): Promise<readonly (StoredRecord | undefined)[]> {
  const records = stored.map((record) => (record === undefined ? undefined : toKnown(opened, record)))
  const forms = records.map((record) => (record === undefined ? undefined : toSealed(record)))
  const tags = new Set(forms.flatMap((form) => form?.tag ?? []))
  if (tags.size === 0) return records
  const states = await keys.read([...tags])
  return records.map((record, i) => {
    const form = forms[i]
    if (record === undefined || form === undefined) return record
    const key = keys.find(states.get(form.tag), form.tag, form.keyId)
    if (key === undefined) return { ...record, value: null }
    const text = Buffer.from(open(key, { kind: 'record', id: record.key }, form)).toString()
    opened.keep(record.key, record.version, text)
    return { ...record, value: parseText(text) }
  })
}

/** A record that was opened before, or as it is. */
function toKnown(opened: OpenedRecords, record: StoredRecord): StoredRecord {
  const text = opened.find(record.key, record.version)
  return text === undefined ? record : { ...record, value: parseText(text) }
}

function parseText(text: string): Json {
  const value: Json = JSON.parse(text)
  return value
}

function toSealed({ value }: StoredRecord): Sealed | undefined {
  const text = isJsonObject(value) && Object.keys(value).length === 1 ? value['sealed'] : undefined
  return typeof text === 'string' ? parseSealed(decodeBase64url(text) ?? new Uint8Array()) : undefined
}

async function destroyKey(
  store: SealedStore,
  keys: SubjectKeys,
  tag: string,
  ids: readonly string[],
  { reads, writes = [], ...rest }: CommitUnit,
): Promise<boolean> {
  const name = subjectKeyRecord(tag)
  for (let tries = 0; tries < ATTEMPTS; tries += 1) {
    const state = (await keys.read([tag])).get(tag)
    const { current, erased = [] } = state?.stored ?? {}
    if (state === undefined || current === undefined || !ids.includes(current.id)) return false
    const value = toJson({ erased: [...erased, current.id] })
    const result = await store.commit({
      ...rest,
      reads: { ...reads, [name]: state.version },
      writes: [...writes, { key: name, value }],
    })
    keys.forget(tag)
    if (result.status !== 'applied') continue
    await result.durable
    return true
  }
  throw new UnavailableError('the key of this subject keeps changing, try again')
}
