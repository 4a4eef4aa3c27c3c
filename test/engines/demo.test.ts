/**
 * @module
 * The demo, played on its Unbearer side: each of its requests, decided again from what was recorded, by every engine.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDatabase } from '../../src/cli/demo/database.ts'
import { loadDemoPackages } from '../../src/cli/demo/packages.ts'
import { playStep } from '../../src/cli/demo/play.ts'
import { startUnbearerSide, toToolServers } from '../../src/cli/demo/sides.ts'
import { STEPS } from '../../src/cli/demo/steps.ts'
import { loadConfig } from '../../src/config/load.ts'
import { openForReading } from '../../src/config/reading.ts'
import { toEngineDocument } from '../../src/core/engine-document.ts'
import { parseEntry } from '../../src/core/parse-entry.ts'
import type { AccessRequest, EngineDocument, Evidence, Finding, PolicyVerdict } from '../../src/index.ts'
import { startEngines, toWord, type Started } from './engines.ts'

interface Recorded {
  readonly request: AccessRequest
  readonly evidence: Evidence
  readonly findings: readonly Finding[]
  readonly verdicts: readonly PolicyVerdict[]
}

interface Asked {
  readonly document: EngineDocument
  readonly recorded: string
}

async function playDemo(dir: string): Promise<void> {
  const packages = await loadDemoPackages(false)
  const database = await startDatabase(packages)
  const outbox = join(dir, 'outbox.ndjson')
  const side = await startUnbearerSide(dir, toToolServers(packages.postgresServer, database.uri, outbox), outbox)
  try {
    for (const step of STEPS) await playStep({ database, resolveFrom: packages.resolveFrom }, side, step)
  } finally {
    await side.close()
    await database.close()
  }
}

/** Every request of the demo that got as far as policy, with what was recorded of it. */
async function readAsked(dir: string): Promise<readonly Asked[]> {
  const reading = await openForReading(await loadConfig(join(dir, 'unbearer.yaml')))
  try {
    const asked: Asked[] = []
    for (let index = 0; index < (await reading.store.log.size()); index += 1) {
      const [leaf] = await reading.store.log.entries(index, index + 1)
      const entry = leaf === undefined ? undefined : parseEntry(leaf)
      if (entry?.value['kind'] !== 'decision') continue
      const bytes = await reading.store.evidence(entry.id)
      if (bytes === undefined) continue
      const { values }: { readonly values: Recorded } = JSON.parse(Buffer.from(bytes).toString('utf8'))
      const [verdict] = values.verdicts
      if (verdict === undefined) continue
      const document = toEngineDocument(values.request, values.evidence, values.findings)
      asked.push({ document, recorded: toWord(verdict) })
    }
    return asked
  } finally {
    await reading.close()
  }
}

describe('the demo, decided again by every engine', () => {
  let dir: string
  let engines: readonly Started[]
  let asked: readonly Asked[]
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'unbearer-engines-'))
    await playDemo(dir)
    asked = await readAsked(dir)
    engines = await startEngines()
    console.info(`compared over ${asked.length} requests: ${engines.map(({ name }) => name).join(', ')}`)
  }, 240_000)
  afterAll(async () => {
    await Promise.all(engines.map(async (each) => each.stop()))
    rmSync(dir, { recursive: true, force: true })
  })

  it('comes out as it was recorded', { timeout: 60_000 }, async () => {
    expect(asked.length).toBeGreaterThan(7)
    expect(new Set(asked.map(({ recorded }) => recorded)).size).toBeGreaterThan(1)
    for (const { name, engine } of engines) {
      const verdicts = await Promise.all(asked.map(async ({ document }) => engine.evaluate(document)))
      expect([name, ...verdicts.map(toWord)]).toEqual([name, ...asked.map(({ recorded }) => recorded)])
    }
  })
})
