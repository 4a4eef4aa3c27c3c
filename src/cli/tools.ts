/**
 * @module
 * `unbearer tools scan | accept | diff`: drafts a manifest, signs it, and says what changed since.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

import { draftManifest } from '../adapters/mcp/draft.ts'
import { scanTools, type ScanSource } from '../adapters/mcp/scan.ts'
import {
  acceptManifest,
  assertServerName,
  isAccepted,
  manifestDigest,
  parseManifest,
  toManifestYaml,
} from '../config/manifest.ts'
import { compareTools, readSeen, type SeenTool } from '../config/seen-tools.ts'
import { asJson } from '../core/json.ts'
import { ConfigError, hashOf, UnbearerError, type JsonObject, type ServerManifest } from '../index.ts'
import { toDisplayText } from '../server/display.ts'
import { toDifference } from './descriptor-diff.ts'
import type { KeyPair } from '../crypto/keys.ts'

/** What a command has to say. 0 done; 1 the answer is no; 2 could not be done. */
export interface CommandResult {
  readonly exitCode: 0 | 1 | 2
  readonly text: string
  readonly json: JsonObject
}

export interface ScanOptions {
  readonly source: ScanSource
  /** The name of the upstream in the configuration. */
  readonly server: string
  /** Where to write the draft; without it the text is the draft. */
  readonly out?: string
}

/** Drafts the manifest of a server. Overwrites no file. Does not accept anything. */
export async function toolsScan({ source, server, out }: ScanOptions): Promise<CommandResult> {
  return attempt(async () => {
    assertServerName(server)
    const { manifest, comments, undetermined, suspicions } = draftManifest(server, await scanTools(source))
    const yaml = toManifestYaml(manifest, comments)
    const json = {
      server,
      tools: Object.keys(manifest.tools),
      digest: manifestDigest(manifest),
      undetermined: [...undetermined],
      suspicions: [...suspicions],
    }
    if (out === undefined) return { exitCode: 0, text: yaml, json: { ...json, yaml } }
    await writeFile(out, yaml, { flag: 'wx' })
    const text = [
      ...suspicions.map((each) => `WARNING: ${toDisplayText(each)}`),
      ...(undetermined.length === 0
        ? []
        : [`nothing told what ${undetermined.length} of them do: ${undetermined.map(toDisplayText).join(', ')}`]),
      `wrote ${json.tools.length} tools to \`${out}\`; read and correct it, then \`unbearer tools accept ${out}\``,
    ].join('\n')
    return { exitCode: 0, text, json: { ...json, out } }
  })
}

export interface SignOptions {
  readonly file: string
  /** The operator's key, with its private part. */
  readonly key: KeyPair
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A manifest that was signed: what `manifest.accept` of the control plane takes. */
export interface SignedManifest {
  readonly yaml: string
  readonly json: {
    readonly server: string
    readonly tools: readonly string[]
    readonly by: string
    readonly digest: string
  }
}

/**
 * Signs a manifest as it stands in `file`. Throws `ConfigError` when it cannot be read. Does not say that the key may put it in
 * force, and does not put it in force: the control plane does.
 */
export async function toolsSign({ file, key, now }: SignOptions): Promise<SignedManifest> {
  const manifest = await readManifest(file)
  const yaml = toManifestYaml(acceptManifest(manifest, { by: key.jkt, at: new Date(now).toISOString(), key }))
  const json = {
    server: manifest.server,
    tools: Object.keys(manifest.tools),
    by: key.jkt,
    digest: manifestDigest(manifest),
  }
  return { yaml, json }
}

export interface DiffOptions {
  /** A manifest: a draft or an accepted one. */
  readonly file: string
  /** What to compare with: the server as it is now, or the text of the accepted one. */
  readonly against: { readonly source: ScanSource } | { readonly accepted: string }
  /** Finds an operator's key by thumbprint; without it the signature is not looked at. */
  readonly resolveOperatorKey?: (by: string) => KeyPair | undefined
}

/** Exit code 1 when a tool was added, removed or changed, or when a signature that was looked at does not hold. */
export async function toolsDiff({ file, against, resolveOperatorKey }: DiffOptions): Promise<CommandResult> {
  return attempt(async () => {
    const manifest = await readManifest(file)
    const rows = await findChanges(manifest, against, dirname(file))
    const isSigned = resolveOperatorKey === undefined || isAccepted(manifest, resolveOperatorKey)
    const lines = rows.flatMap(({ tool, change, difference }) => [
      `${change} \`${toDisplayText(tool)}\``,
      ...difference.map((line) => `  ${line}`),
    ])
    if (!isSigned) lines.push('the manifest is not signed, as it stands, by an enrolled operator')
    const ok = lines.length === 0
    return {
      exitCode: ok ? 0 : 1,
      text: ok ? 'no difference' : lines.join('\n'),
      json: {
        ok,
        signed: isSigned,
        changes: rows.map(({ tool, change, difference }) => ({ tool, change, difference: [...difference] })),
      },
    }
  })
}

interface Change {
  readonly tool: string
  readonly change: 'added' | 'removed' | 'changed'
  /** What differs, for a person; as it was with `-`, as it is with `+`. */
  readonly difference: readonly string[]
}

/**
 * An accepted manifest is compared in all that it says of each tool, a live server in its descriptors. What those were is known
 * where a session has seen them; methods of MCP, which have no descriptor, are pinned by their name and cannot have changed.
 */
async function findChanges(
  manifest: ServerManifest,
  against: DiffOptions['against'],
  folder: string,
): Promise<readonly Change[]> {
  if ('accepted' in against) return compareManifests(parseManifest(against.accepted), manifest)
  const { descriptors } = await scanTools(against.source)
  const before = (await readSeen(folder, manifest.server))?.accepted ?? {}
  const { changes } = compareTools(manifest, descriptors.map(toSeenTool), before)
  return changes.map(({ tool, change, was, now }) => ({
    tool,
    change,
    difference: change === 'changed' && was !== undefined ? toDifference(was, now) : [],
  }))
}

function toSeenTool(descriptor: JsonObject): SeenTool {
  const name = typeof descriptor['name'] === 'string' ? descriptor['name'] : ''
  return { name, descriptor, hash: hashOf(descriptor) }
}

function compareManifests(from: ServerManifest, to: ServerManifest): readonly Change[] {
  const names = [...new Set([...Object.keys(from.tools), ...Object.keys(to.tools)])].toSorted()
  return names.flatMap((tool): readonly Change[] => {
    const [was, now] = [from, to].map(({ tools }) => (Object.hasOwn(tools, tool) ? tools[tool] : undefined))
    if (was === undefined) return [{ tool, change: 'added', difference: [] }]
    if (now === undefined) return [{ tool, change: 'removed', difference: [] }]
    const difference = toDifference(asJson(was), asJson(now))
    return difference.length === 0 ? [] : [{ tool, change: 'changed', difference }]
  })
}

async function readManifest(file: string): Promise<ServerManifest> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${file}\` cannot be read`, { cause })
  }
  return parseManifest(text)
}

async function attempt(run: () => Promise<CommandResult>): Promise<CommandResult> {
  try {
    return await run()
  } catch (error) {
    const text = error instanceof UnbearerError ? error.message : toSystemMessage(error)
    return { exitCode: 2, text, json: { ok: false, error: text } }
  }
}

function toSystemMessage(error: unknown): string {
  if (error instanceof Error && 'code' in error && error.code === 'EEXIST')
    return 'the file exists already; it is not overwritten'
  return 'it could not be done'
}
