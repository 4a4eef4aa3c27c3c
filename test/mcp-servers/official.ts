/**
 * @module
 * The official servers with a script each that goes through everything that they offer.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { JsonObject } from '../../src/index.ts'
import { openClient, type Sdk, type Way } from './clients.ts'
import { record, type Step, type Transcript } from './transcript.ts'

export interface Official {
  readonly name: string
  /** What it does stays: two that play its script at once would see each other's. */
  readonly isKept: boolean
  /** The folder that the server is given, as it is at the beginning of a script. */
  readonly arguments: (dir: string) => readonly string[]
  readonly script: (dir: string) => readonly Step[]
}

const text = (id: number): string => `demo://resource/dynamic/text/${id}`
const prompt = (name: string): JsonObject => ({ type: 'ref/prompt', name })
const template = { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' }

const EVERYTHING: readonly Step[] = [
  { level: 'debug' },
  { tool: 'echo', args: { message: 'hello «✓»' } },
  { tool: 'echo', args: {} },
  { tool: 'get-sum', args: { a: 2, b: 0.5 } },
  { tool: 'get-sum', args: { a: 'two', b: 3 } },
  { tool: 'get-tiny-image', args: {} },
  { tool: 'get-structured-content', args: { location: 'Chicago' } },
  { tool: 'get-annotated-message', args: { messageType: 'error', includeImage: true } },
  { tool: 'get-resource-links', args: { count: 3 } },
  { tool: 'get-resource-reference', args: { resourceType: 'Blob', resourceId: 2 } },
  { tool: 'get-resource-reference', args: { resourceType: 'Text', resourceId: -1 } },
  { tool: 'trigger-long-running-operation', args: { duration: 0.2, steps: 4 }, follow: true },
  { tool: 'trigger-long-running-operation', args: { duration: 0.1, steps: 2 } },
  { tool: 'trigger-long-running-operation', args: { duration: 20, steps: 2 }, cancelAfter: 200 },
  { tool: 'no-such-tool', args: {} },
  {
    tool: 'gzip-file-as-resource',
    args: { name: 'a.gz', data: 'data:text/plain,hello', outputType: 'resourceLink' },
    intent: 'write: the user asked to compress this',
  },
  { read: 'demo://resource/session/a.gz' },
  { read: 'demo://resource/static/document/features.md' },
  { read: text(1) },
  { read: 'demo://resource/dynamic/blob/2' },
  { read: 'demo://resource/none' },
  { prompt: { name: 'simple-prompt' } },
  { prompt: { name: 'args-prompt', arguments: { city: 'Chicago', state: 'Illinois' } } },
  { prompt: { name: 'args-prompt', arguments: {} } },
  { prompt: { name: 'resource-prompt', arguments: { resourceType: 'Text', resourceId: '3' } } },
  { prompt: { name: 'none' } },
  { complete: { ref: prompt('completable-prompt'), argument: { name: 'department', value: 'S' } } },
  {
    complete: {
      ref: prompt('completable-prompt'),
      argument: { name: 'name', value: '' },
      context: { arguments: { department: 'Sales' } },
    },
  },
  { complete: { ref: template, argument: { name: 'resourceId', value: '7' } } },
  { complete: { ref: prompt('none'), argument: { name: 'x', value: '' } } },
  { subscribe: text(1) },
  { tool: 'toggle-subscriber-updates', args: {} },
  // The server tells of an update every five seconds, outside of any call.
  { wait: 5_300 },
  { tool: 'toggle-subscriber-updates', args: {} },
  { unsubscribe: text(1) },
  { tool: 'toggle-subscriber-updates', args: {} },
  { wait: 200 },
  { tool: 'toggle-subscriber-updates', args: {} },
  { level: 'emergency' },
]

function toFilesystem(dir: string): readonly Step[] {
  const at = (name: string): string => join(dir, name)
  const intent = 'write, delete: the user asked for it'
  return [
    { tool: 'list_allowed_directories', args: {} },
    { tool: 'read_text_file', args: { path: at('a.txt') } },
    { tool: 'read_text_file', args: { path: at('a.txt'), head: 1 } },
    { tool: 'read_text_file', args: { path: at('none.txt') } },
    { tool: 'read_text_file', args: { path: '/etc/passwd' } },
    { tool: 'read_media_file', args: { path: at('tiny.png') } },
    { tool: 'read_multiple_files', args: { paths: [at('a.txt'), at('none.txt')] } },
    { tool: 'list_directory', args: { path: dir } },
    { tool: 'list_directory_with_sizes', args: { path: dir, sortBy: 'size' } },
    { tool: 'directory_tree', args: { path: dir } },
    { tool: 'search_files', args: { path: dir, pattern: '**/*.txt' } },
    { tool: 'get_file_info', args: { path: at('a.txt') } },
    { tool: 'write_file', args: { path: at('new.txt'), content: 'neu\n' }, intent },
    { tool: 'edit_file', args: { path: at('a.txt'), edits: [{ oldText: 'a text', newText: 'b text' }] }, intent },
    { tool: 'create_directory', args: { path: at('deep/er') }, intent },
    { tool: 'move_file', args: { source: at('new.txt'), destination: at('deep/er/new.txt') }, intent },
    { tool: 'directory_tree', args: { path: at('.') } },
    { tool: 'read_text_file', args: { path: at('deep/er/new.txt') } },
    { tool: 'write_file', args: { path: at('x') }, intent },
  ]
}

const intent = 'write: the user asked to remember this'
const MEMORY: readonly Step[] = [
  { tool: 'read_graph', args: {} },
  {
    tool: 'create_entities',
    args: {
      entities: [
        { name: 'Ada', entityType: 'person', observations: ['writes'] },
        { name: 'Bo', entityType: 'person', observations: [] },
      ],
    },
    intent,
  },
  { tool: 'create_relations', args: { relations: [{ from: 'Ada', to: 'Bo', relationType: 'knows' }] }, intent },
  {
    tool: 'add_observations',
    args: { observations: [{ entityName: 'Bo', contents: ['reads', 'sleeps'] }] },
    intent,
  },
  { tool: 'add_observations', args: { observations: [{ entityName: 'Cy', contents: ['?'] }] }, intent },
  { tool: 'search_nodes', args: { query: 'reads' } },
  { tool: 'open_nodes', args: { names: ['Ada'] } },
  {
    tool: 'delete_observations',
    args: { deletions: [{ entityName: 'Bo', observations: ['sleeps'] }] },
    intent: 'delete: the user asked to forget this',
  },
  { tool: 'delete_entities', args: { entityNames: ['Ada'] }, intent: 'delete: the user asked to forget this' },
  { tool: 'read_graph', args: {} },
]

const thought = (thoughtNumber: number, nextThoughtNeeded: boolean): Step => ({
  tool: 'sequentialthinking',
  args: { thought: 'one at a time', thoughtNumber, totalThoughts: 2, nextThoughtNeeded },
})

export const OFFICIAL: readonly Official[] = [
  { name: 'everything', isKept: false, arguments: () => [], script: () => EVERYTHING },
  { name: 'filesystem', isKept: true, arguments: (dir) => [dir], script: toFilesystem },
  { name: 'memory', isKept: true, arguments: () => [], script: () => MEMORY },
  {
    name: 'sequential-thinking',
    isKept: false,
    arguments: () => [],
    script: () => [
      thought(1, true),
      thought(2, false),
      { tool: 'sequentialthinking', args: { thought: 'no number', nextThoughtNeeded: true } },
    ],
  },
]

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

export interface Place {
  readonly dir: string
  readonly env: Readonly<Record<string, string>>
  /** As it was at the beginning, under the same name. */
  reset(): void
  remove(): void
}

/** The files of a server, the same for everyone who plays its script one after the other. */
export function createPlace(): Place {
  const root = mkdtempSync(join(tmpdir(), 'unbearer-official-'))
  const [dir, first] = [join(root, 'data'), join(root, 'first')]
  mkdirSync(join(first, 'sub'), { recursive: true })
  writeFileSync(join(first, 'a.txt'), 'a text\nof two lines\n')
  writeFileSync(join(first, 'sub', 'b.txt'), 'b\n')
  writeFileSync(join(first, 'tiny.png'), Buffer.from(PNG, 'base64'))
  return {
    dir,
    env: { PATH: process.env['PATH'] ?? '', MEMORY_FILE_PATH: join(dir, 'memory.jsonl') },
    reset() {
      rmSync(dir, { recursive: true, force: true })
      cpSync(first, dir, { recursive: true })
    },
    remove: () => rmSync(root, { recursive: true, force: true }),
  }
}

/** What starts it over stdio. */
export function toCommand({ name, arguments: toArguments }: Official, modules: string, { dir }: Place): string[] {
  return [process.execPath, join(modules, '.bin', `mcp-server-${name}`), ...toArguments(dir)]
}

export interface PlayAt {
  readonly official: Official
  readonly sdk: Sdk
  readonly place: Place
  readonly way: Way
  readonly isGuarded?: boolean
}

/** Plays the script of a server from the beginning. */
export async function playAt({ official, sdk, place, way, isGuarded = false }: PlayAt): Promise<Transcript> {
  place.reset()
  const open = await openClient(sdk, way)
  try {
    return await record(open, official.script(place.dir), { isGuarded })
  } finally {
    await open.close()
  }
}
