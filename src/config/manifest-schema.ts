/**
 * @module
 * The shape of a manifest file. A key or value that is not known is refused with its path.
 */
import { z } from 'zod'

import { ConfigError } from '../core/errors.ts'
import { BESIDE, LEVELS } from '../core/effect.ts'
import {
  CONFIDENTIALITIES,
  ROLES,
  TRUSTS,
  UNDETERMINED,
  type EffectRule,
  type Label,
  type ServerManifest,
  type ToolManifest,
} from '../core/manifest.ts'

const effectKind = z.enum([...LEVELS, ...BESIDE])
const trust = z.enum(TRUSTS)
const confidentiality = z.enum(CONFIDENTIALITIES)
const labels = z.strictObject({ trust: trust.optional(), confidentiality: confidentiality.optional() })

const tool = z.strictObject({
  hash: z.string().regex(/^sha-256:[A-Za-z0-9_-]{43}$/u),
  effect: z.union([
    effectKind,
    z.array(effectKind).nonempty(),
    z.strictObject({ from: z.literal('sql'), argument: z.string().min(1) }),
  ]),
  arguments: z.record(z.string(), z.strictObject({ role: z.enum(ROLES) })).optional(),
  output: labels.extend({ fields: z.record(z.string(), labels).optional() }).optional(),
  idempotent: z.boolean().optional(),
  reversible: z.boolean().optional(),
  bounded: z.boolean().optional(),
})

const accepted = z.strictObject({
  by: z.string().min(1),
  at: z.iso.datetime({ offset: true }),
  signature: z.string().min(1),
})

const manifest = z.strictObject({
  server: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/u),
  tools: z.record(z.string().min(1), tool),
  accepted: accepted.optional(),
})

/** Reads parsed data as a manifest; what is left out counts as undetermined. Throws `ConfigError` with the path. */
export function parseManifestShape(value: unknown): ServerManifest {
  const parsed = manifest.safeParse(value)
  if (!parsed.success) throw new ConfigError(toMessage(parsed.error.issues[0]))
  const { server, tools, accepted: by } = parsed.data
  const entries = Object.entries(tools).map(([name, each]): [string, ToolManifest] => [name, toTool(each)])
  return { server, tools: Object.fromEntries(entries), ...(by === undefined ? {} : { accepted: by }) }
}

function toMessage(issue: z.core.$ZodIssue | undefined): string {
  if (issue === undefined) return 'the manifest cannot be used'
  const path = issue.path.map(String)
  if (issue.code !== 'unrecognized_keys') return `\`${path.join('.')}\` is missing or has a value that is not known`
  return `\`${[...path, issue.keys[0] ?? ''].join('.')}\` is not a key of a manifest`
}

function toTool(given: z.infer<typeof tool>): ToolManifest {
  const { fields, ...output } = given.output ?? {}
  return {
    hash: given.hash,
    effect: toEffectRule(given.effect),
    arguments: given.arguments ?? {},
    output: { ...UNDETERMINED, ...toLabel(output), ...(fields === undefined ? {} : { fields: toFields(fields) }) },
    idempotent: given.idempotent ?? false,
    ...(given.reversible === undefined ? {} : { reversible: given.reversible }),
    ...(given.bounded === undefined ? {} : { bounded: given.bounded }),
  }
}

function toEffectRule(effect: z.infer<typeof tool>['effect']): EffectRule {
  return effect
}

function toFields(fields: Readonly<Record<string, z.infer<typeof labels>>>): Readonly<Record<string, Partial<Label>>> {
  return Object.fromEntries(Object.entries(fields).map(([path, each]) => [path, toLabel(each)]))
}

/** Members that are absent stay absent, so that they do not override a default. */
function toLabel(given: z.infer<typeof labels>): Partial<Label> {
  return {
    ...(given.trust === undefined ? {} : { trust: given.trust }),
    ...(given.confidentiality === undefined ? {} : { confidentiality: given.confidentiality }),
  }
}
