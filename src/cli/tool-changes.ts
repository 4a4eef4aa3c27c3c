/**
 * @module
 * `unbearer tools changes`: what a server shows that differs from what was accepted, and the manifest that would accept it.
 */
import { writeFile } from 'node:fs/promises'

import { draftManifest } from '../adapters/mcp/draft.ts'
import { loadConfig } from '../config/load.ts'
import { toManifestYaml, type ManifestComments } from '../config/manifest.ts'
import { readManifests } from '../config/manifest-registry.ts'
import { listSeen, toStanding, type SeenServer, type ToolChange } from '../config/seen-tools.ts'
import { ConfigError, InputError } from '../core/errors.ts'
import type { ServerManifest, ToolManifest } from '../core/manifest.ts'
import { toDisplayText } from '../server/display.ts'
import type { Answer, Call, Command } from './command.ts'
import { toDifference } from './descriptor-diff.ts'

export const toolChangesCommand: Command = {
  words: 'tools changes',
  usage: '[NAME] [--draft FILE]',
  summary: 'show how the tools of a server differ from what was accepted',
  about: [
    'The gateway compares every list of tools with the manifest and refuses what is new or has changed. This shows what the last',
    'session of each server saw: the parts that differ, as they were accepted and as they are, with what cannot be seen written',
    'out. `--draft` writes the manifest of NAME with the tools as they are now, for you to read and `tools accept`: what you had',
    'decided stays where the change gives no reason to guess otherwise. Exit code 1 when something differs.',
    'Reads files beside the manifests; asks no server. A tool of which no session saw the accepted form is shown as it is now.',
  ].join('\n'),
  example: ['unbearer tools changes', 'unbearer tools changes notes --draft notes.draft.yaml'].join('\n'),
  options: [
    { name: 'draft', value: 'FILE', about: 'write the manifest that would accept the tools of NAME as they are now' },
  ],
  operands: [0, 1],
  run: toolChanges,
}

async function toolChanges(call: Call): Promise<Answer> {
  const [name] = call.operands
  const out = call.text('draft')
  if (out !== undefined && name === undefined) throw new InputError('`--draft` is for one server, say which')
  const { manifests } = await loadConfig(call.config)
  const all = await listStanding(manifests)
  const seen = name === undefined ? all : all.filter(({ server }) => server === name)
  if (name !== undefined && seen.length === 0)
    throw new ConfigError(`no session has listed the tools of \`${name}\` yet`)
  if (out !== undefined) await writeDraft(manifests, seen[0], out)
  const changed = seen.filter(({ changes }) => changes.length > 0)
  const text = changed.flatMap(toLines).join('\n')
  const isSame = changed.length === 0
  return {
    exit: isSame ? 0 : 1,
    json: {
      ok: isSame,
      servers: changed.map(({ server, changes }) => ({
        server,
        changes: changes.map((change) => ({
          tool: change.tool,
          change: change.change,
          difference: [...toRows(change)],
        })),
      })),
      ...(out === undefined ? {} : { draft: out }),
    },
    text: isSame
      ? 'no session saw a difference'
      : `${text}${out === undefined ? '' : `\nwrote ${out}; read it, then \`unbearer tools accept ${out}\``}`,
  }
}

/** What the last session of each server saw and nobody has accepted since. */
export async function listStanding(folder: string): Promise<readonly SeenServer[]> {
  const manifests = await readManifests(folder)
  return (await listSeen(folder)).map((seen) => toStanding(seen, manifests.get(seen.server)))
}

function toLines({ server, changes }: SeenServer): readonly string[] {
  return changes.flatMap((change) => [
    `${server}: \`${toDisplayText(change.tool)}\` was ${change.change}${change.change === 'removed' ? '' : ', calls are refused'}`,
    ...toRows(change).map((line) => `  ${line}`),
  ])
}

function toRows({ change, was, now }: ToolChange): readonly string[] {
  if (change === 'changed' && was === undefined)
    return ['as it was accepted is not known here; as it is now:', ...toDifference(undefined, now)]
  return change === 'removed' ? [] : toDifference(was, now)
}

async function writeDraft(folder: string, seen: SeenServer | undefined, out: string): Promise<void> {
  const manifest = seen === undefined ? undefined : (await readManifests(folder)).get(seen.server)
  if (seen === undefined || manifest === undefined) throw new ConfigError('there is no manifest to change')
  const { made, comments } = toChangedManifest(manifest, seen)
  try {
    await writeFile(out, toManifestYaml(made, comments), { flag: 'wx' })
  } catch (cause) {
    throw new ConfigError(`\`${out}\` cannot be written; a file that exists is not overwritten`, { cause })
  }
}

/** The manifest as a person would change it, with what was guessed anew marked; not signed. */
function toChangedManifest(
  manifest: ServerManifest,
  seen: SeenServer,
): { readonly made: ServerManifest; readonly comments: ManifestComments } {
  const tools = new Map(Object.entries(manifest.tools))
  const comments: Record<string, string> = {
    '': `The manifest of \`${seen.server}\` with its tools as they are now. Look at what is marked CHANGED or ADDED, then sign it.`,
  }
  for (const change of seen.changes) {
    const { tool, now } = change
    if (now === undefined) tools.delete(tool)
    else {
      const fresh = draftManifest(seen.server, { descriptors: [now], methods: [] })
      const { made, isKept } = toChangedTool(
        change,
        tools.get(tool),
        new Map(Object.entries(fresh.manifest.tools)).get(tool),
      )
      if (made === undefined) continue
      tools.set(tool, made)
      Object.assign(comments, isKept ? {} : fresh.comments, { '': comments[''] ?? '' })
      const rows = toRows(change).join('\n')
      comments[`tools.${tool}`] =
        `${change.change.toUpperCase()}${isKept ? ', what you had decided is kept' : ', guessed anew'}\n${rows}`
    }
  }
  return { made: { server: manifest.server, tools: Object.fromEntries(tools) }, comments }
}

/** What a person decided stays where the guess about the tool is what it was before it changed. */
function toChangedTool(
  { was }: ToolChange,
  decided: ToolManifest | undefined,
  fresh: ToolManifest | undefined,
): { readonly made: ToolManifest | undefined; readonly isKept: boolean } {
  if (decided === undefined || fresh === undefined || was === undefined) return { made: fresh, isKept: false }
  const before = Object.values(draftManifest('s', { descriptors: [was], methods: [] }).manifest.tools)[0]
  const isKept = JSON.stringify({ ...before, hash: '' }) === JSON.stringify({ ...fresh, hash: '' })
  return { made: isKept ? { ...decided, hash: fresh.hash } : fresh, isKept }
}
