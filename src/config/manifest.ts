/**
 * @module
 * Tool manifests as files: parsed strictly, written with comments, signed by an operator (contracts, "Tool manifest").
 */
import { Document, isCollection, isMap, isNode, isPair, isScalar, type YAMLMap } from 'yaml'

import { canonicalBytes } from '../core/canonical.ts'
import { hashOf } from '../core/bind.ts'
import { ConfigError } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import type { ServerManifest, ToolFacts, ToolManifest } from '../core/manifest.ts'
import { decodeBase64url } from '../crypto/base64.ts'
import { signBytes, verifyBytes, type KeyPair } from '../crypto/keys.ts'
import { parseManifestShape } from './manifest-schema.ts'
import { parseStrictYaml } from './strict-yaml.ts'

const SIGNED_AS = 'unbearer-manifest-v1\0'

/**
 * Parses a manifest. Throws `ConfigError` for an unknown key or a wrong value, with its path, and for YAML that two
 * readers could take differently: duplicate keys, anchors, aliases, tags, merge keys, several documents. Does not say
 * whether anybody accepted it.
 */
export function parseManifest(text: string): ServerManifest {
  return parseManifestShape(parseStrictYaml(text))
}

/** Comments by path (`tools.query.effect`): each is put above the key that it speaks of. */
export type ManifestComments = Readonly<Record<string, string>>

/** The manifest as YAML; `parseManifest` reads it back to the same manifest. Comments are for people and never signed. */
export function toManifestYaml(manifest: ServerManifest, comments: ManifestComments = {}): string {
  const document = new Document(toManifestJson(manifest), { aliasDuplicateObjects: false })
  const head = comments['']
  if (head !== undefined) document.commentBefore = toComment(head)
  if (isMap(document.contents)) addComments(document.contents, '', comments)
  return document.toString({ lineWidth: 120 })
}

/** What is small stands on one line with its reason behind it, so that a tool can be seen at a glance. */
function addComments(map: YAMLMap, path: string, comments: ManifestComments): void {
  for (const pair of map.items) {
    if (!isPair(pair) || !isScalar(pair.key)) continue
    const here = path === '' ? String(pair.key.value) : `${path}.${String(pair.key.value)}`
    const isSmall = isCollection(pair.value) && pair.value.items.every((item) => !isPair(item) || isScalar(item.value))
    if (isCollection(pair.value) && isSmall && pair.value.items.length > 0) pair.value.flow = path !== ''
    const comment = comments[here]
    if (comment !== undefined && isNode(pair.value) && (isSmall || isScalar(pair.value)))
      pair.value.comment = toComment(comment)
    else if (comment !== undefined) pair.key.commentBefore = toComment(comment)
    if (isMap(pair.value)) addComments(pair.value, here, comments)
  }
}

/** A comment may quote a stranger's words, which must not end the comment. */
function toComment(text: string): string {
  const lines = text.split('\n').map((line) => ` ${line.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '\u{fffd}')}`)
  return lines.join('\n')
}

function toManifestJson({ server, tools, accepted }: ServerManifest): JsonObject {
  const entries = Object.entries(tools).map(([name, tool]): [string, JsonObject] => [name, toToolJson(tool)])
  return {
    server,
    tools: Object.fromEntries(entries),
    ...(accepted === undefined ? {} : { accepted: { ...accepted } }),
  }
}

function toToolJson(tool: ToolManifest): JsonObject {
  const { fields, ...label } = tool.output
  const roles = Object.entries(tool.arguments).map(([name, { role }]): [string, JsonObject] => [name, { role }])
  return {
    hash: tool.hash,
    effect: typeof tool.effect === 'string' ? tool.effect : isList(tool.effect) ? [...tool.effect] : { ...tool.effect },
    arguments: Object.fromEntries(roles),
    output: { ...label, ...(fields === undefined ? {} : { fields: toFieldsJson(fields) }) },
    idempotent: tool.idempotent,
    ...(tool.reversible === undefined ? {} : { reversible: tool.reversible }),
    ...(tool.bounded === undefined ? {} : { bounded: tool.bounded }),
  }
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value)
}

function toFieldsJson(fields: NonNullable<ToolManifest['output']['fields']>): JsonObject {
  return Object.fromEntries(Object.entries(fields).map(([path, label]): [string, JsonObject] => [path, { ...label }]))
}

/** `sha-256:…` of the manifest without its acceptance: what `bind` names. */
export function manifestDigest(manifest: ServerManifest): string {
  const { accepted: _accepted, ...rest } = toManifestJson(manifest)
  return hashOf(rest)
}

export interface Acceptance {
  /** The thumbprint of the operator's key. */
  readonly by: string
  /** RFC 3339. */
  readonly at: string
  readonly key: KeyPair
}

/** Signs the manifest as it stands, with who and when. Throws `InvariantError` for a key without its private part. */
export function acceptManifest(manifest: ServerManifest, { by, at, key }: Acceptance): ServerManifest {
  const signature = signBytes(key, toSignedBytes(manifest, { by, at })).toString('base64url')
  return { ...manifest, accepted: { by, at, signature } }
}

/**
 * True when the manifest carries the signature, over exactly what it says now, of a key that `resolveOperatorKey` knows.
 * Never throws. Does not say that the tools are as described, nor that the descriptors still hash to what was accepted.
 */
export function isAccepted(manifest: ServerManifest, resolveOperatorKey: (by: string) => KeyPair | undefined): boolean {
  const { accepted } = manifest
  if (accepted === undefined) return false
  const key = resolveOperatorKey(accepted.by)
  const signature = decodeBase64url(accepted.signature)
  return key !== undefined && signature !== undefined && verifyBytes(key, toSignedBytes(manifest, accepted), signature)
}

function toSignedBytes(manifest: ServerManifest, { by, at }: { by: string; at: string }): Uint8Array {
  const { accepted: _accepted, ...rest } = toManifestJson(manifest)
  return Buffer.concat([Buffer.from(SIGNED_AS, 'utf8'), canonicalBytes({ ...rest, accepted: { by, at } })])
}

/**
 * What is known of a tool that shows this descriptor. Without a descriptor nothing says that it is still the tool that was
 * accepted, so that it counts as changed.
 */
export function toToolFacts(
  manifest: ServerManifest,
  tool: string,
  descriptorHash: string | undefined,
  accepted: boolean,
): ToolFacts {
  const found = Object.hasOwn(manifest.tools, tool) ? manifest.tools[tool] : undefined
  if (found === undefined) return { status: 'unknown' }
  const status = !accepted ? 'unaccepted' : found.hash === descriptorHash ? 'accepted' : 'changed'
  return { status, tool: found, manifest: manifestDigest(manifest) }
}

/** Throws `ConfigError` unless the name can stand in a file name and a route. */
export function assertServerName(name: string): void {
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/u.test(name))
    throw new ConfigError(`\`${name}\` is not usable as the name of a server`)
}
