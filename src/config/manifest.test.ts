import { describe, expect, it } from 'vitest'

import type { ServerManifest } from '../core/manifest.ts'
import { generateKey, importKey } from '../crypto/keys.ts'
import { acceptManifest, isAccepted, manifestDigest, parseManifest, toManifestYaml, toToolFacts } from './manifest.ts'

const HASH = `sha-256:${'A'.repeat(43)}`

const YAML = `
server: orders
tools:
  query:
    hash: ${HASH}
    effect: { from: sql, argument: sql }
    arguments: { sql: { role: command } }
    output: { trust: internal, confidentiality: confidential, fields: { "rows[].note": { trust: attacker-writable } } }
    idempotent: true
  mail:
    hash: ${HASH}
    effect: [read, send]
`

const manifest: ServerManifest = parseManifest(YAML)
const key = importKey(generateKey('Ed25519'))
const at = '2026-11-23T00:00:00.000Z'
const signed = acceptManifest(manifest, { by: key.jkt, at, key })
const resolve = (by: string) => (by === key.jkt ? key : undefined)

describe('parseManifest', () => {
  it('reads the shape of the contract, and takes the worst for what is left out', () => {
    expect(manifest.tools['query']).toEqual({
      hash: HASH,
      effect: { from: 'sql', argument: 'sql' },
      arguments: { sql: { role: 'command' } },
      output: {
        trust: 'internal',
        confidentiality: 'confidential',
        fields: { 'rows[].note': { trust: 'attacker-writable' } },
      },
      idempotent: true,
    })
    expect(manifest.tools['mail']).toEqual({
      hash: HASH,
      effect: ['read', 'send'],
      arguments: {},
      output: { trust: 'attacker-writable', confidentiality: 'confidential' },
      idempotent: false,
    })
  })

  it.each([
    ['an unknown key', YAML.replace('idempotent', 'idempotant'), 'tools.query.idempotant'],
    ['an unknown key at the root', `${YAML}\nextra: 1`, 'extra'],
    ['an unknown effect', YAML.replace('[read, send]', 'none'), 'tools.mail.effect'],
    ['an empty list of effects', YAML.replace('[read, send]', '[]'), 'tools.mail.effect'],
    ['an unknown role', YAML.replace('role: command', 'role: harmless'), 'tools.query.arguments.sql.role'],
    ['an unknown trust', YAML.replace('trust: internal', 'trust: full'), 'tools.query.output.trust'],
    ['a missing hash', YAML.replace(/ {4}hash: .*\n/u, ''), 'tools.query.hash'],
    ['a server that is a path', YAML.replace('server: orders', 'server: ../orders'), 'server'],
  ])('names the place of %s', (_what, text, path) => {
    expect(() => parseManifest(text)).toThrow(`\`${path}\``)
  })

  it.each([
    ['a duplicate key', `${YAML}\nserver: other`],
    ['an anchor', YAML.replace('effect: [read, send]', 'effect: &a [read, send]')],
    ['an alias', YAML.replace('server: orders', 'x: &a 1\nserver: *a')],
    ['a merge key', YAML.replace('    idempotent: true', '    <<: { idempotent: true }')],
    ['a tag', YAML.replace('server: orders', 'server: !!str orders')],
    ['a tag of its own', YAML.replace('server: orders', 'server: !mine orders')],
    ['`__proto__`', YAML.replace('  mail:', '  __proto__:')],
    ['a key that is no string', YAML.replace('  mail:', '  1:')],
    ['a key that is a list', YAML.replace('  mail:', '  ? [mail]\n  :')],
    ['two documents', `${YAML}\n---\n${YAML}`],
    ['a directive', `%TAG ! tag:example.test,2026:\n---\n${YAML}`],
    ['a bomb', `a: &a [x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nserver: orders\ntools: {}`],
    ['deep nesting', `server: ${'['.repeat(100_000)}`],
    ['a list', '- server: orders'],
    ['nothing', ''],
  ])('refuses %s', (_what, text) => {
    expect(() => parseManifest(text)).toThrow(expect.objectContaining({ code: 'ERR_UNBEARER_CONFIG' }))
  })
})

describe('toManifestYaml', () => {
  it('is read back to the same manifest, comments and all', () => {
    const text = toManifestYaml(signed, { '': 'head', 'tools.query.effect': 'why\n# server: evil\u2028x' })
    expect(parseManifest(text)).toEqual(signed)
    expect(text).toContain('# head')
    expect(text).toContain('# why')
    expect(text).not.toContain('\u2028')
  })
})

describe('acceptance', () => {
  it('holds for what was signed, by a key that is known', () => {
    expect(isAccepted(signed, resolve)).toBe(true)
    expect(isAccepted(parseManifest(toManifestYaml(signed)), resolve)).toBe(true)
    expect(isAccepted(manifest, resolve)).toBe(false)
    expect(isAccepted(signed, () => undefined)).toBe(false)
    expect(isAccepted(signed, () => importKey(generateKey('Ed25519')))).toBe(false)
    const other = importKey(generateKey('ES256'))
    expect(isAccepted(acceptManifest(manifest, { by: other.jkt, at, key: other }), () => other)).toBe(true)
  })

  it.each([
    ['an effect', YAML.replace('[read, send]', 'read')],
    ['a role', YAML.replace('role: command', 'role: content')],
    ['a label', YAML.replace('attacker-writable', 'own')],
    ['idempotence', YAML.replace('idempotent: true', 'idempotent: false')],
    ['a further tool', `${YAML}\n  more: { hash: ${HASH}, effect: read }`],
    ['the server', YAML.replace('server: orders', 'server: crm')],
  ])('does not survive a change of %s', (_what, text) => {
    const changed = parseManifest(text)
    expect(isAccepted({ ...signed, server: changed.server, tools: changed.tools }, resolve)).toBe(false)
    expect(manifestDigest(changed)).not.toBe(manifestDigest(manifest))
  })

  it('covers who and when, and not the digest', () => {
    const accepted = signed.accepted ?? { by: '', at: '', signature: '' }
    expect(isAccepted({ ...signed, accepted: { ...accepted, at: '2027-01-01T00:00:00Z' } }, resolve)).toBe(false)
    expect(isAccepted({ ...signed, accepted: { ...accepted, by: 'somebody' } }, () => key)).toBe(false)
    expect(isAccepted({ ...signed, accepted: { ...accepted, signature: '!' } }, resolve)).toBe(false)
    expect(manifestDigest(signed)).toBe(manifestDigest(manifest))
  })
})

describe('toToolFacts', () => {
  it('is accepted only with the very descriptor', () => {
    expect(toToolFacts(manifest, 'query', HASH, true).status).toBe('accepted')
    expect(toToolFacts(manifest, 'query', HASH, false).status).toBe('unaccepted')
    expect(toToolFacts(manifest, 'query', HASH.replace('A', 'B'), true).status).toBe('changed')
    expect(toToolFacts(manifest, 'query', undefined, true).status).toBe('changed')
  })

  it.each(['other', 'constructor', '__proto__', 'toString'])('does not know `%s`', (tool) => {
    expect(toToolFacts(manifest, tool, HASH, true)).toEqual({ status: 'unknown' })
  })
})
