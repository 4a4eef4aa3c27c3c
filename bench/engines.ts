/**
 * @module
 * `npm run bench:engines`: what one verdict costs, per engine, with 5, 50 and 500 policies, in one run. Engines whose server is
 * not here are left out and named. Says figures and asserts none.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthzenEngine } from '../src/engines/authzen.ts'
import { createCedarEngine } from '../src/engines/cedar.ts'
import { createOpaEngine } from '../src/engines/opa.ts'
import { createOpaWasmEngine } from '../src/engines/opa-wasm.ts'
import { createTopazEngine } from '../src/engines/topaz.ts'
import type { Engine, EngineDocument, PolicyVerdict } from '../src/index.ts'
import { sampleDocument } from '../src/testing/index.ts'
import { CERBOS_INPUT, startCerbos, startOpaAuthzen } from '../test/support/authzen-servers.ts'
import { findEngine, startOpa } from '../test/support/engine-servers.ts'
import { startTopaz } from '../test/support/topaz-server.ts'
import { toCedar, toCerbos, toRego } from './engine-policies.ts'

const COUNTS = [5, 50, 500]
const timeoutMs = 10_000
const TOPAZ_RULE =
  'package front\nallowed := value if value := data.bench.decision.allow with input as input.resource\n'
const AUTHZEN_RULE = 'package front\nallowed := data.bench.decision.allow\n'

interface Row {
  readonly engine: string
  readonly policies: number
  readonly outcome: 'permit' | 'deny'
  readonly p50Ms: number
  readonly p99Ms: number
}

interface Running {
  readonly name: string
  readonly engine: Engine
  readonly stop: () => Promise<void>
}

async function startAll(folder: string, count: number): Promise<readonly Running[]> {
  const started: Running[] = [await startCedar(count)]
  const opa = findEngine('opa')
  if (opa !== undefined) started.push(await startWasm(folder, count, opa), await startServer(folder, count, opa))
  const topaz = findEngine('topazd')
  if (topaz !== undefined) started.push(await startTopazWith(folder, count, topaz))
  const plugin = findEngine('opa-authzen-plugin')
  if (plugin !== undefined) started.push(await startPlugin(folder, count, plugin))
  const cerbos = await startCerbosWith(folder, count)
  return cerbos === undefined ? started : [...started, cerbos]
}

async function startCedar(count: number): Promise<Running> {
  const engine = await createCedarEngine({ policies: [{ name: 'bench.cedar', text: toCedar(count) }] })
  return { name: 'cedar', engine, stop: async () => engine.close() }
}

async function startWasm(folder: string, count: number, opa: string): Promise<Running> {
  const [source, bundle] = [join(folder, `${count}.rego`), join(folder, `${count}.tar.gz`)]
  writeFileSync(source, toRego(count))
  execFileSync(opa, ['build', '-t', 'wasm', '-e', 'bench/decision', source, '-o', bundle])
  const engine = await createOpaWasmEngine({ bundle, entrypoint: 'bench/decision' })
  return { name: 'opa-wasm', engine, stop: async () => engine.close() }
}

async function startServer(folder: string, count: number, opa: string): Promise<Running> {
  const server = await startOpa(opa, [join(folder, `${count}.rego`)])
  const engine = await createOpaEngine({ url: server.url, path: 'bench/decision', timeoutMs })
  return { name: 'opa (server, loopback)', engine, stop: async () => server.stop() }
}

async function startTopazWith(folder: string, count: number, binary: string): Promise<Running> {
  const policies = mkdtempSync(join(folder, 'topaz-'))
  writeFileSync(join(policies, 'bench.rego'), toRego(count))
  writeFileSync(join(policies, 'topaz.rego'), TOPAZ_RULE)
  const server = await startTopaz(binary, { policies: [policies] })
  await server.addUsers({ alice: {} })
  const engine = await createTopazEngine({ url: server.url, tls: { ca: server.ca }, path: 'front', timeoutMs })
  return { name: 'topaz (TLS and directory, loopback)', engine, stop: async () => server.stop() }
}

async function startPlugin(folder: string, count: number, binary: string): Promise<Running> {
  const policies = mkdtempSync(join(folder, 'plugin-'))
  writeFileSync(join(policies, 'bench.rego'), toRego(count))
  writeFileSync(join(policies, 'front.rego'), AUTHZEN_RULE)
  const server = await startOpaAuthzen(binary, [policies], { path: 'front', decision: 'allowed' })
  const engine = await createAuthzenEngine({ url: server.url, timeoutMs })
  return { name: 'authzen (OPA with its plugin, loopback)', engine, stop: async () => server.stop() }
}

async function startCerbosWith(folder: string, count: number): Promise<Running | undefined> {
  const policies = mkdtempSync(join(folder, 'cerbos-'))
  writeFileSync(join(policies, 'bench.json'), toCerbos(count))
  const server = await startCerbos(policies)
  if (server === undefined) return undefined
  const engine = await createAuthzenEngine({ url: server.url, input: CERBOS_INPUT, timeoutMs })
  return { name: 'authzen (Cerbos, loopback)', engine, stop: async () => server.stop() }
}

/** A document that the last rule forbids; it takes a second question to know that no approval would help. */
function toForbidden(count: number): EngineDocument {
  const { resource } = sampleDocument
  const tool = `tool-${count - 2}`
  return { ...sampleDocument, resource: { ...resource, properties: { ...resource.properties, tool } } }
}

async function measure(
  engine: Engine,
  document: EngineDocument,
  wanted: Row['outcome'],
  seconds: number,
): Promise<number[]> {
  const times: number[] = []
  const assertWanted = ({ outcome, fault }: PolicyVerdict): void => {
    if (outcome !== wanted) throw new Error(`${engine.kind} answered ${outcome} ${fault ?? ''} instead of ${wanted}`)
  }
  for (let warm = 0; warm < 200; warm += 1) assertWanted(await engine.evaluate(document))
  const end = performance.now() + seconds * 1_000
  while (performance.now() < end || times.length < 200) {
    const start = performance.now()
    const verdict = await engine.evaluate(document)
    times.push(performance.now() - start)
    assertWanted(verdict)
  }
  return times.toSorted((a, b) => a - b)
}

const at = (sorted: readonly number[], part: number): number =>
  Number((sorted[Math.floor((sorted.length - 1) * part)] ?? 0).toFixed(3))

async function bench(seconds: number): Promise<readonly Row[]> {
  const folder = mkdtempSync(join(tmpdir(), 'unbearer-bench-engines-'))
  const rows: Row[] = []
  try {
    for (const policies of COUNTS) {
      const running = await startAll(folder, policies)
      for (const { name, engine, stop } of running) {
        for (const outcome of ['permit', 'deny'] as const) {
          const document = outcome === 'permit' ? sampleDocument : toForbidden(policies)
          const sorted = await measure(engine, document, outcome, seconds)
          rows.push({ engine: name, policies, outcome, p50Ms: at(sorted, 0.5), p99Ms: at(sorted, 0.99) })
        }
        await engine.close()
        await stop()
      }
    }
    return rows
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function toTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ engine }) => engine))]
  const cell = (engine: string, policies: number, outcome: string): string => {
    const row = rows.find((one) => one.engine === engine && one.policies === policies && one.outcome === outcome)
    return row === undefined ? '' : `${row.p50Ms.toFixed(2)} / ${row.p99Ms.toFixed(2)}`
  }
  const columns = ['permit', 'deny'].flatMap((outcome) => COUNTS.map((count) => ({ outcome, count })))
  return [
    `| engine | ${columns.map(({ outcome, count }) => `${outcome}, ${count}`).join(' | ')} |`,
    `|-|${columns.map(() => '-|').join('')}`,
    ...names.map(
      (name) => `| ${name} | ${columns.map(({ outcome, count }) => cell(name, count, outcome)).join(' | ')} |`,
    ),
  ].join('\n')
}

const seconds = Number(process.env['UNBEARER_BENCH_SECONDS'] ?? 2)
const rows = await bench(seconds)
const machine = `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`
const date = new Date().toISOString()
if (process.argv.includes('--json')) console.log(JSON.stringify({ machine, node: process.version, date, rows }))
else console.log(`${machine}, Node ${process.version}, ${date}; p50 / p99 in ms\n\n${toTable(rows)}`)
