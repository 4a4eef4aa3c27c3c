/**
 * @module
 * Drafts a manifest from what a scan saw. Every guess carries its reason; nothing in a draft is in force until a person
 * has read it and signed it.
 */
import { hashOf, type JsonObject, type ServerManifest, type ToolManifest } from '../../index.ts'
import { toMethodHash } from './catalogue.ts'
import { guessEffect } from './guess-effect.ts'
import { guessOutput } from './guess-output.ts'
import { guessRoles } from './guess-role.ts'
import { toWords } from './guess-words.ts'
import type { Scanned } from './scan.ts'
import { findLookAlikes, findSuspicions } from './suspicion.ts'

export interface Draft {
  readonly manifest: ServerManifest
  /** Reason per guess, by path (`tools.query.effect`). */
  readonly comments: Readonly<Record<string, string>>
  /** Tools of which nothing told what they do. */
  readonly undetermined: readonly string[]
  /** What a person should look at before anything else. */
  readonly suspicions: readonly string[]
}

/**
 * Drafts the manifest of a server. Conservative: what gives no hint has effect `execute`, role `destination`, trust
 * `attacker-writable`, confidentiality `confidential`. Does not promise that a guess is right.
 */
export function draftManifest(server: string, scanned: Scanned): Draft {
  const common = findCommonWords(scanned.descriptors)
  const tools = scanned.descriptors.map((descriptor) => draftTool(descriptor, common))
  const all = [...tools, ...scanned.methods.map(draftMethod)]
  const suspicions = [
    ...findLookAlikes(tools.map(({ name }) => name)).map((names) => `look alike: ${names.map(quote).join(' and ')}`),
    ...tools.flatMap(({ name, suspicions: found }) => found.map((each) => `${quote(name)} ${each}`)),
  ]
  const undetermined = tools.filter(({ assumed }) => assumed).map(({ name }) => name)
  return {
    manifest: { server, tools: Object.fromEntries(all.map(({ name, tool }) => [name, tool])) },
    comments: Object.fromEntries([['', toHead(tools, suspicions)], ...all.flatMap(({ comments }) => comments)]),
    undetermined,
    suspicions,
  }
}

interface Drafted {
  readonly name: string
  readonly tool: ToolManifest
  readonly comments: readonly (readonly [path: string, comment: string])[]
  readonly assumed: boolean
  readonly suspicions: readonly string[]
}

function quote(name: string): string {
  return `\`${name}\``
}

/** What most tools have in front of their names is the name of the server: `git_clone`, `git_add`. */
function findCommonWords(descriptors: readonly JsonObject[]): ReadonlySet<string> {
  if (descriptors.length < 4) return new Set()
  const first = descriptors.map(({ name }) => (typeof name === 'string' ? (toWords(name)[0] ?? '') : ''))
  const counts = Map.groupBy(first, (word) => word)
  return new Set([...counts].filter(([, words]) => words.length > descriptors.length * 0.7).map(([word]) => word))
}

function draftTool(descriptor: JsonObject, common: ReadonlySet<string>): Drafted {
  const name = typeof descriptor['name'] === 'string' ? descriptor['name'] : ''
  const roles = guessRoles(descriptor['inputSchema'])
  const effect = guessEffect(descriptor, roles, common)
  const output = guessOutput(descriptor)
  const suspicions = findSuspicions(descriptor)
  const path = `tools.${name}`
  const fields = output.fields.map(([field, why]): [string, string] => [`${path}.output.fields.${field}`, why])
  return {
    name,
    tool: {
      hash: hashOf(descriptor),
      effect: effect.value,
      arguments: Object.fromEntries([...roles].map(([key, { value }]) => [key, { role: value }])),
      output: output.value,
      idempotent: false,
      ...(isChange(effect.value) ? { bounded: false } : {}),
    },
    comments: [
      [path, [...suspicions.map((each) => `WARNING: ${each}`), toQuote(descriptor['description'])].join('\n')],
      [`${path}.effect`, effect.why],
      ...[...roles].map(([key, { why }]): [string, string] => [`${path}.arguments.${key}`, why]),
      [`${path}.output`, output.why],
      ...fields,
    ],
    assumed: effect.assumed === true,
    suspicions,
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
  const flat = description.replaceAll(/\s+/gu, ' ').trim()
  return `the server says: ${JSON.stringify(flat.length > 180 ? `${flat.slice(0, 180)}…` : flat)}`
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
    assumed: false,
    suspicions: [],
  }
}

/** All that somebody needs who has never seen such a file, and where to look first. */
function toHead(tools: readonly Drafted[], suspicions: readonly string[]): string {
  const undetermined = tools.filter(({ assumed }) => assumed)
  const reads = tools.filter(({ tool, assumed }) => !assumed && tool.effect === 'read')
  const others = tools.filter((each) => !undetermined.includes(each) && !reads.includes(each))
  const list = (found: readonly Drafted[]): string => found.map(({ name }) => name).join(', ')
  return [
    'Drafted by `unbearer tools scan`. Every line is a guess, with its reason; none is in force before you have signed the',
    'file with `unbearer tools accept`. Whatever stays wrong on the safe side only asks a person more often than needed.',
    '',
    ...suspicions.map((each) => `WARNING: ${each}`),
    ...(suspicions.length === 0 ? [] : ['']),
    `${tools.length} tools.`,
    ...row(undetermined.length, 'UNDETERMINED, a person is asked each time. LOOK HERE FIRST', list(undetermined)),
    ...row(others.length, 'change something or reach out, a person is asked', list(others)),
    ...row(reads.length, 'only read, and pass', list(reads)),
    '',
    'effect           what a call does at most: read < write < delete, and beside it send (leaves this system), spend, execute,',
    '                 admin; several as a list. `{ from: sql, argument: NAME }` computes it from the statement.',
    'arguments        what each decides: selector (which thing), content (what is written into it), recipient and destination',
    '                 (where it goes), amount, command (what runs), credential. An attacker must not choose the last five.',
    'output           trust: own, internal, external, attacker-writable (anybody may have written what it returns, so that it',
    '                 must not decide anything). confidentiality: public, internal, confidential, secret.',
    'bounded: true    one call changes no more than what its arguments name. reversible: true: it can be undone.',
    'idempotent: true doing it twice does no more than doing it once.',
  ].join('\n')
}

function row(count: number, what: string, names: string): readonly string[] {
  return count === 0
    ? []
    : [`  ${String(count).padStart(3)} ${what}: ${names.length > 600 ? `${names.slice(0, 600)}…` : names}`]
}
