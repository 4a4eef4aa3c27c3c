/**
 * @module
 * Drafts a manifest from what a scan saw. Every guess carries its reason; nothing in a draft is in force until a person
 * has read it and signed it.
 */
import { hashOf, isJsonObject, type JsonObject, type ServerManifest, type ToolManifest } from '../../index.ts'
import { toMethodHash } from './catalogue.ts'
import { guessEffect, guessRole } from './guess.ts'
import type { Scanned } from './scan.ts'

export interface Draft {
  readonly manifest: ServerManifest
  /** Reason per guess, by path (`tools.query.effect`). */
  readonly comments: Readonly<Record<string, string>>
}

const HEAD = `Drafted by \`unbearer tools scan\`. Every line below is a guess for you to correct; none is in force before
\`unbearer tools accept\` has signed the file with an operator's key. Correct what is wrong, above all:
effect: read | write | delete, and beside it send | spend | execute | admin (a list), or { from: sql, argument: NAME }
role: destination | recipient | amount | selector | command | credential | content
trust of the output: own | internal | external | attacker-writable (anybody could have written what it returns)
confidentiality: public | internal | confidential | secret`

/**
 * Drafts the manifest of a server. Conservative: what gives no hint has effect `execute`, role `destination`, trust
 * `attacker-writable`, confidentiality `confidential`. Does not promise that a guess is right.
 */
export function draftManifest(server: string, scanned: Scanned): Draft {
  const tools = scanned.descriptors.map(draftTool)
  const all = [...tools, ...scanned.methods.map(draftMethod)]
  return {
    manifest: { server, tools: Object.fromEntries(all.map(({ name, tool }) => [name, tool])) },
    comments: Object.fromEntries([['', HEAD], ...all.flatMap(({ comments }) => comments)]),
  }
}

interface Drafted {
  readonly name: string
  readonly tool: ToolManifest
  readonly comments: readonly (readonly [path: string, comment: string])[]
}

function draftTool(descriptor: JsonObject): Drafted {
  const name = typeof descriptor['name'] === 'string' ? descriptor['name'] : ''
  const schema = isJsonObject(descriptor['inputSchema']) ? descriptor['inputSchema'] : {}
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const guesses = Object.entries(properties).map(([key, value]) => ({ key, ...guessRole(key, value) }))
  const roles = new Map(guesses.map(({ key, ...guess }) => [key, guess]))
  const effect = guessEffect(descriptor, roles)
  const path = `tools.${name}`
  return {
    name,
    tool: {
      hash: hashOf(descriptor),
      effect: effect.value,
      arguments: Object.fromEntries(guesses.map(({ key, value }) => [key, { role: value }])),
      output: { trust: 'attacker-writable', confidentiality: 'confidential' },
      idempotent: false,
      ...(isChange(effect.value) ? { bounded: false } : {}),
    },
    comments: [
      [path, toQuote(descriptor['description'])],
      [`${path}.effect`, effect.why],
      ...guesses.map(({ key, why }): readonly [string, string] => [`${path}.arguments.${key}`, why]),
      [`${path}.output`, 'nothing tells who can write what it returns, so that the worst is assumed'],
      [`${path}.idempotent`, 'true only if doing it twice does no more than doing it once'],
      [`${path}.bounded`, 'true only if one call changes no more than what its arguments name; else a person is asked'],
    ],
  }
}

/** A change by the manifest, of which a person has to say whether it is bounded. SQL says it by itself, a read is. */
function isChange(effect: ToolManifest['effect']): boolean {
  const kinds = typeof effect === 'string' ? [effect] : 'from' in effect ? [] : effect
  return kinds.some((kind) => kind !== 'read')
}

/** What the server says of the tool, marked as its words. */
function toQuote(description: JsonObject[string]): string {
  if (typeof description !== 'string' || description === '') return 'the server does not describe it'
  const short = description.length > 300 ? `${description.slice(0, 300)}…` : description
  return `the server says: ${JSON.stringify(short)}`
}

function draftMethod(method: string): Drafted {
  const isRead = method === 'resources/read'
  return {
    name: method,
    tool: {
      hash: toMethodHash(method),
      effect: 'read',
      arguments: isRead
        ? { uri: { role: 'selector' } }
        : { name: { role: 'selector' }, arguments: { role: 'content' } },
      output: { trust: 'attacker-writable', confidentiality: 'confidential' },
      idempotent: true,
    },
    comments: [
      [`tools.${method}`, 'a method of MCP, not a tool; the server offers it'],
      [`tools.${method}.effect`, 'MCP gives it no other; if an address can reach outside, make it [read, send]'],
    ],
  }
}
