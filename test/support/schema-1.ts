/**
 * @module
 * A copy of the installation that version 0.1.0 left on a disk (`test/fixtures/schema-1`), to be opened by this version.
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'schema-1')

export interface SchemaOne {
  readonly dir: string
  /** Its configuration. */
  readonly file: string
  readonly facts: Facts
  keyFile(name: 'agent' | 'stopped' | 'operator' | 'approver' | 'host'): string
  remove(): void
}

/** What was there when it was made; see `test/fixtures/schema-1/make.ts`. */
export interface Facts {
  readonly madeAt: number
  readonly txn: string
  readonly stoppedTxn: string
  readonly grant: string
  readonly stopped: string
  readonly approvals: Readonly<Record<'consumed' | 'approved' | 'denied' | 'pending', string>>
  readonly sessionCredential: string
  readonly unknown: string
  readonly entries: number
  readonly root: string
}

/** Puts it in a folder of its own, with the modes that git does not keep, in front of the tool server at `upstream`. */
export function copySchemaOne(upstream: string): SchemaOne {
  const dir = mkdtempSync(join(tmpdir(), 'unbearer-schema-1-'))
  cpSync(join(FIXTURE, 'installation'), dir, { recursive: true })
  const modes = ['keys', 'state', 'head', 'manifests', 'policies'].map((name) => join(dir, name))
  for (const folder of modes) chmodSync(folder, 0o700)
  for (const name of ['issuer', 'log', 'agent', 'stopped', 'operator', 'approver', 'host'])
    chmodSync(join(dir, 'keys', `${name}.jwk`), 0o600)
  const file = join(dir, 'unbearer.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace('http://127.0.0.1:9/mcp', upstream))
  const facts: Facts = JSON.parse(readFileSync(join(FIXTURE, 'facts.json'), 'utf8'))
  return {
    dir,
    file,
    facts,
    keyFile: (name) => join(dir, 'keys', `${name}.jwk`),
    remove: () => rmSync(dir, { recursive: true, force: true }),
  }
}
