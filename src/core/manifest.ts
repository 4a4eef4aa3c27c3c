/**
 * @module
 * The tool manifest: what an operator accepted about each tool of a server (contracts, "Tool manifest").
 */
import type { EffectKind } from './effect.ts'

export const ROLES = ['destination', 'recipient', 'amount', 'selector', 'command', 'credential', 'content'] as const
/** What an argument decides. Undetermined counts as `destination`. */
export type ArgumentRole = (typeof ROLES)[number]

export const TRUSTS = ['own', 'internal', 'external', 'attacker-writable'] as const
/** Integrity of what a source says, best first. Undetermined counts as `attacker-writable`. */
export type Trust = (typeof TRUSTS)[number]

export const CONFIDENTIALITIES = ['public', 'internal', 'confidential', 'secret'] as const
/** Confidentiality of what a source says, lowest first. Undetermined counts as `confidential`. */
export type Confidentiality = (typeof CONFIDENTIALITIES)[number]

export interface Label {
  readonly trust: Trust
  readonly confidentiality: Confidentiality
}

/** The label of what nothing is known about. */
export const UNDETERMINED: Label = { trust: 'attacker-writable', confidentiality: 'confidential' }

/** A fixed effect, or the argument from which a parser computes it. */
export type EffectRule = EffectKind | readonly EffectKind[] | { readonly from: 'sql'; readonly argument: string }

export interface ToolManifest {
  /** `sha-256:` + base64url of the RFC 8785 form of the whole descriptor. */
  readonly hash: string
  readonly effect: EffectRule
  readonly arguments: Readonly<Record<string, { readonly role: ArgumentRole }>>
  readonly output: Label & { readonly fields?: Readonly<Record<string, Partial<Label>>> }
  readonly idempotent: boolean
  readonly reversible?: boolean
  readonly bounded?: boolean
}

export interface ServerManifest {
  readonly server: string
  readonly tools: Readonly<Record<string, ToolManifest>>
  readonly accepted?: { readonly by: string; readonly at: string; readonly signature: string }
}

/** What is known of the tool that a request names. */
export type ToolFacts =
  | { readonly status: 'unknown' }
  | { readonly status: 'unaccepted' | 'changed'; readonly tool: ToolManifest; readonly manifest: string }
  | { readonly status: 'accepted'; readonly tool: ToolManifest; readonly manifest: string }

/** The join of two labels: lowest integrity, highest confidentiality. */
export function joinLabel(a: Label, b: Label): Label {
  return {
    trust: TRUSTS[Math.max(TRUSTS.indexOf(a.trust), TRUSTS.indexOf(b.trust))] ?? 'attacker-writable',
    confidentiality:
      CONFIDENTIALITIES[
        Math.max(CONFIDENTIALITIES.indexOf(a.confidentiality), CONFIDENTIALITIES.indexOf(b.confidentiality))
      ] ?? 'secret',
  }
}
