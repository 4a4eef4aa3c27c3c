/**
 * @module
 * `unbearer tools scan | accept | diff`: drafts a manifest, signs it, and says what changed since.
 */
import { readFile, writeFile } from 'node:fs/promises'

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
  return compare(toDigests(parseManifest(against.accepted)), toDigests(manifest))
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
