/**
 * `unbearer doctor` on an installation where each thing is wrong in turn.
 *
 * Broken once on purpose: each `examine…` of `examineFiles` left out (but for the space on the disk, which no test looks at), what an
 * upgrade left, the retention, operators from before there were roles. Each time what it is about was not said and its case fell.
 */
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'

import { examineFiles, toOperatorSymptoms } from '../../src/cli/diagnosis.ts'
import { parseConfig, type Config } from '../../src/config/load.ts'
import type { EnrolledKey } from '../../src/core/evidence.ts'
import { sealKey } from '../../src/crypto/sealed-key.ts'
import { hasOpenssl, makeAuthority, makeCertificate } from '../support/certificates.ts'
import { createOutsideIssuer } from '../support/outside-issuer.ts'
import { startStandIn } from '../support/stand-in.ts'
import { prepareInstallation, type Prepared } from '../support/installation.ts'

let prepared: Prepared
let certificates: string
beforeAll(() => {
  certificates = mkdtempSync(join(tmpdir(), 'unbearer-doctor-'))
  if (!hasOpenssl) return
  makeAuthority(certificates, 'ours')
  makeCertificate(certificates, 'gateway', 'ours')
})
afterAll(() => rmSync(certificates, { recursive: true }))
beforeEach(async () => {
  prepared = await prepareInstallation({ upstream: { url: 'http://127.0.0.1:9/mcp' } })
})
afterEach(() => {
  vi.useRealTimers()
  prepared.remove()
})

const configured = (change: (text: string) => string): Config => {
  const file = join(prepared.dir, 'unbearer.yaml')
  return parseConfig(change(readFileSync(file, 'utf8')), { dir: prepared.dir, file })
}
const inside = (...path: readonly string[]): string => join(prepared.dir, ...path)

/** What is said of this level, one line each. */
async function said(level: 'good' | 'note' | 'bad', config: Config = prepared.config): Promise<string> {
  const symptoms = await examineFiles(config)
  return symptoms
    .filter((symptom) => symptom.level === level)
    .map(({ what }) => what)
    .join('\n')
}

describe('doctor', () => {
  it('finds nothing to mend in a sound installation, and says what stays open', async () => {
    expect(await said('bad')).toBe('')
    const notes = await said('note')
    expect(notes).toContain('advisory')
    expect(notes).toContain('/metrics')
    expect(notes).toContain('bypass, upstream desk')
    expect(notes).toContain('bypass, in a process')
    expect(notes).toContain('disk of the store')
  })

  it('tells which engines answer, which do not, and what is missing without Cedar', async () => {
    expect(await said('good')).toContain('engine cedar loads')
    const opa = await startStandIn((path) => ({ body: path.startsWith('/health') ? {} : { result: true } }))
    const engine = `engine: [{ kind: opa, path: a/b, url: '${opa.url}' }]`
    const config = configured((text) => text.replace(/^engine:.*$/m, engine))
    expect(await said('good', config)).toContain(`engine opa at ${opa.url} answers`)
    expect(await said('note', config)).toContain(`engine opa at ${opa.url} does not tell which policies it has`)
    expect(await said('note', config)).toContain('no engine of kind cedar')
    await opa.stop()
    expect(await said('bad', config)).toContain(`engine opa: the engine at \`${opa.url}\`: opa: cannot be reached`)
  })

  it('names every file that is open to others, not the first alone', async () => {
    chmodSync(inside('keys', 'issuer.jwk'), 0o644)
    chmodSync(inside('keys', 'secret'), 0o640)
    chmodSync(inside('policies'), 0o777)
    const found = await said('bad')
    for (const name of ['issuer.jwk', 'secret', 'policies']) expect(found).toContain(name)
  })

  it('says what is open beyond this machine, and where requests need no proof', async () => {
    const wide = configured((text) =>
      text.replace('127.0.0.1:0', '0.0.0.0:8700').concat('tls: { cert: { file: ./a }, key: { file: ./b } }\n'),
    )
    expect(await said('note', wide)).toContain('from other machines, over TLS')
    const observing = configured((text) => text.replace('mode: enforce', 'mode: observe'))
    expect(await said('note', observing)).toContain('without a proof are answered')
  })

  it('asks issuers outside for their keys, and says what their principals may open', async () => {
    const issuer = await createOutsideIssuer()
    const trusting = (extra = ''): Config =>
      configured((text) =>
        text.concat(
          `trust: { issuers: [{ issuer: '${issuer.url}', audience: x, ${extra} grants: { operations: [{ tool: desk/read_note }] } }] }\n`,
        ),
      )
    expect(await said('good', trusting())).toContain('1 of its keys')
    expect(await said('note', trusting())).toContain(
      `principals of ${issuer.url} may open grants for desk/read_note (read)`,
    )
    expect(await said('bad', trusting('algorithms: [ES256],'))).toContain('no key for ES256')
    issuer.published.discovery = { issuer: 'https://other.example' }
    expect(await said('bad', trusting())).toContain('another issuer')
    await issuer.close()
    expect(await said('bad', trusting())).toContain('did not answer')
  })

  it('says how each upstream can be got around', async () => {
    const bare = configured((text) => text.replace(/, secrets: \{.*?\} \}/, ''))
    expect(await said('note', bare)).toContain('asks us for no secret')
    const program = configured((text) => text.replace(/url: \S+,/, 'command: [some-server],'))
    expect(await said('note', program)).toContain('the agent can start `some-server` itself')
  })

  it('counts the age of keys, and finds a key of a person that lies open', async () => {
    utimesSync(inside('keys', 'issuer.jwk'), new Date(0), new Date(0))
    expect(await said('note')).toContain('more than `keys.rotate`')
    writeFileSync(inside('keys', 'approver.jwk'), JSON.stringify(prepared.jwks.approver), { mode: 0o600 })
    expect(await said('note')).toContain('the key of the approver lies open')
    const sealed = await sealKey({ ...prepared.jwks.approver }, 'a long passphrase')
    writeFileSync(inside('keys', 'approver.jwk'), sealed, { mode: 0o600 })
    expect(await said('note')).not.toContain('the key of the approver')
    rmSync(inside('keys', 'log.jwk'))
    expect(await said('bad')).toContain('key of the log')
  })

  it.skipIf(!hasOpenssl)('reads the certificate: expired, not yet valid, ends soon, not ours', async () => {
    copyFileSync(join(certificates, 'gateway.pem'), inside('keys', 'tls.pem'))
    copyFileSync(join(certificates, 'gateway.key'), inside('keys', 'tls.key'))
    const config = configured(
      (text) => `${text}tls: { cert: { file: ./keys/tls.pem }, key: { file: ./keys/tls.key } }\n`,
    )
    expect(await said('note', config)).toContain('the certificate is valid until')
    const day = 86_400_000
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 3 * day })
    expect(await said('bad', config)).toContain('has expired')
    vi.setSystemTime(Date.now() - 6 * day)
    expect(await said('bad', config)).toContain('not valid before')
    vi.useRealTimers()
    copyFileSync(join(certificates, 'ours.key'), inside('keys', 'tls.key'))
    chmodSync(inside('keys', 'tls.key'), 0o600)
    expect(await said('bad', config)).toContain('cannot be used together')
  })

  it('sees a clock that was set back, a head that is gone, and a log that was cut', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 3_600_000 })
    expect(await said('bad')).toContain('behind the newest entry')
    vi.useRealTimers()
    rmSync(inside('head'), { recursive: true })
    expect(await said('bad')).toContain('head outside the store is gone')
  })

  it('says how long evidence is kept, where its key lies, and what an upgrade left', async () => {
    expect(await said('note')).toContain('write `evidence.retention` for permits, refusals, outputs')
    const bounded = configured(
      (text) => `${text}evidence: { retention: { outputs: 30d, permits: 90d, refusals: 1d } }\n`,
    )
    const notes = await said('note', bounded)
    expect(notes).not.toContain('evidence.retention')
    expect(await said('good', bounded)).toContain(
      'permits 90d, refusals 1d, outputs 30d, acts forever (cases are acts)',
    )
    expect(notes).toContain('the master key of evidence lies on the disk of the store')
    expect(notes).not.toContain('in the clear')
    writeFileSync(inside('state', 'unbearer.db.schema-1'), '', { mode: 0o600 })
    writeFileSync(inside('state', 'unbearer.db.schema-12'), '', { mode: 0o600 })
    const left = (await said('note', bounded)).split('\n').filter((line) => line.includes('remove it when all is well'))
    expect(left.map((line) => line.includes('in the clear'))).toEqual([true, false])
  })

  it('warns of the last admin and of operators from before there were roles', () => {
    const key: EnrolledKey = { jkt: 'a', name: 'ann', role: 'operator', jwk: {}, enrolledAt: 0, by: 'system' }
    const second: EnrolledKey = { ...key, jkt: 'b', name: 'bob', roles: ['admin'] }
    const texts = (revoked: readonly string[]): string =>
      toOperatorSymptoms([key, second], (jkt) => revoked.includes(jkt))
        .map(({ level, what }) => `${level} ${what}`)
        .join('\n')
    expect(texts([])).toContain('good 2 admins')
    expect(texts([])).toContain('note enrolled before there were roles, and admins since: ann')
    expect(texts(['b'])).toContain('note there is one admin')
  })
})
