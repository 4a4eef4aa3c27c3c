/**
 * @module
 * `unbearer tools scan | accept | diff`: drafts a manifest, signs it, and says what changed since.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { toMethodHash } from '../adapters/mcp/catalogue.ts'
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
import { ConfigError, UnbearerError, type JsonObject, type ServerManifest } from '../index.ts'
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
    const { manifest, comments } = draftManifest(server, await scanTools(source))
    const yaml = toManifestYaml(manifest, comments)
    const json = { server, tools: Object.keys(manifest.tools), digest: manifestDigest(manifest) }
    if (out === undefined) return { exitCode: 0, text: yaml, json: { ...json, yaml } }
    await writeFile(out, yaml, { flag: 'wx' })
    const text = `wrote ${json.tools.length} tools to \`${out}\`; read and correct it, then \`unbearer tools accept ${out}\``
    return { exitCode: 0, text, json: { ...json, out } }
  })
}

export interface AcceptOptions {
  readonly file: string
  /** The operator's key, with its private part. */
  readonly key: KeyPair
  /** The folder of accepted manifests. */
  readonly manifests: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Signs a manifest as it stands in `file` and writes it to `<manifests>/<server>.yaml`, replacing what was accepted before.
 * Does not say that the key is an operator's: a server takes the signature of an enrolled operator only.
 */
export async function toolsAccept({ file, key, manifests, now }: AcceptOptions): Promise<CommandResult> {
  return attempt(async () => {
    const manifest = await readManifest(file)
    const accepted = acceptManifest(manifest, { by: key.jkt, at: new Date(now).toISOString(), key })
    const path = join(manifests, `${manifest.server}.yaml`)
    await mkdir(manifests, { recursive: true })
    // A rename within the folder: a server that reads it meanwhile sees the old file or the new one.
    await writeFile(`${path}.new`, toManifestYaml(accepted), { mode: 0o644 })
    await rename(`${path}.new`, path)
    const tools = Object.keys(manifest.tools)
    const text = `accepted ${tools.length} tools of \`${manifest.server}\` in \`${path}\``
    return {
      exitCode: 0,
      text,
      json: { server: manifest.server, tools, path, by: key.jkt, digest: manifestDigest(manifest) },
    }
  })
}

export interface DiffOptions {
  /** A manifest: a draft or an accepted one. */
  readonly file: string
  /** What to compare with: the server as it is now, or the folder of accepted manifests. */
  readonly against: { readonly source: ScanSource } | { readonly manifests: string }
  /** Finds an operator's key by thumbprint; without it the signature is not looked at. */
  readonly resolveOperatorKey?: (by: string) => KeyPair | undefined
}

/** Exit code 1 when a tool was added, removed or changed, or when a signature that was looked at does not hold. */
export async function toolsDiff({ file, against, resolveOperatorKey }: DiffOptions): Promise<CommandResult> {
  return attempt(async () => {
    const manifest = await readManifest(file)
    const rows = await findChanges(manifest, against)
    const isSigned = resolveOperatorKey === undefined || isAccepted(manifest, resolveOperatorKey)
    const lines = rows.map(({ tool, change }) => `${change} \`${tool}\``)
    if (!isSigned) lines.push('the manifest is not signed, as it stands, by an enrolled operator')
    const ok = lines.length === 0
    return {
      exitCode: ok ? 0 : 1,
      text: ok ? 'no difference' : lines.join('\n'),
      json: { ok, signed: isSigned, changes: rows },
    }
  })
}

type Change = { readonly tool: string; readonly change: 'added' | 'removed' | 'changed' }

function compare(from: ReadonlyMap<string, string>, to: ReadonlyMap<string, string>): readonly Change[] {
  const names = [...new Set([...from.keys(), ...to.keys()])].toSorted()
  return names.flatMap((tool): readonly Change[] => {
    if (!from.has(tool)) return [{ tool, change: 'added' }]
    if (!to.has(tool)) return [{ tool, change: 'removed' }]
    return from.get(tool) === to.get(tool) ? [] : [{ tool, change: 'changed' }]
  })
}

/**
 * An accepted manifest is compared in all that it says of each tool, a live server in its descriptors. Methods of MCP, which
 * have no descriptor, are pinned by their name and cannot have changed.
 */
async function findChanges(manifest: ServerManifest, against: DiffOptions['against']): Promise<readonly Change[]> {
  if ('source' in against) {
    const seen = draftManifest(manifest.server, await scanTools(against.source)).manifest
    return compare(toPins(manifest), toPins(seen))
  }
  const accepted = await readManifest(join(against.manifests, `${manifest.server}.yaml`))
  return compare(toDigests(accepted), toDigests(manifest))
}

function toPins({ tools }: ServerManifest): ReadonlyMap<string, string> {
  const pins = Object.entries(tools).map(([name, { hash }]): [string, string] => [name, hash])
  return new Map(pins.filter(([name, hash]) => hash !== toMethodHash(name)))
}

function toDigests({ server, tools }: ServerManifest): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(tools).map(([name, tool]) => [name, manifestDigest({ server, tools: { [name]: tool } })]),
  )
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
