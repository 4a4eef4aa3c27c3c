/**
 * @module
 * Runs a folder of labelled cases under a configuration: its policies, its manifests, its thresholds, and grants from files.
 * Opens no store, so that it runs where only the configuration is (`policy test`).
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'

import { parseCase, type Case } from '../core/case.ts'
import { ConfigError } from '../core/errors.ts'
import type { Grant } from '../core/grant.ts'
import { parseGrant } from '../core/parse-grant.ts'
import { parseJson } from '../core/parse-json.ts'
import type { AccessRequest } from '../core/request.ts'
import { toPolicyVersion } from '../pdp/evaluate.ts'
import { testCase, type CaseConditions, type CaseResult } from '../pdp/case-test.ts'
import { toOutput } from '../server/cases.ts'
import { openJudge } from './judge.ts'
import type { Config } from './load.ts'
import { readManifests } from './manifest-registry.ts'
import { toToolFacts } from './manifest.ts'
import { toPlainYaml } from './strict-yaml.ts'

export interface CaseTestOptions {
  readonly dir: string
  /** A grant as `grant create` takes it, or a folder of such files. */
  readonly grants?: string
}

/** One case with what became of it. */
export interface TestedCase extends CaseResult {
  readonly file: string
  readonly case: Pick<Case, 'entry' | 'label' | 'note' | 'expected' | 'was'>
}

export interface CaseReport {
  /** The engines and the versions of their policies. */
  readonly policy: string
  readonly cases: readonly TestedCase[]
}

/** A file of a case may be this large: it holds what was recorded of one call. */
const MAX_BYTES = 64 * 1024 * 1024

/**
 * Decides every `*.json` of `dir` again. Throws `ConfigError` when there is none, or one is not a case, and for policies,
 * manifests or grants that cannot be used. A manifest counts as accepted when it says so: who signed it is not verified here.
 */
export async function testCases(config: Config, { dir, grants }: CaseTestOptions): Promise<CaseReport> {
  const files = (await readNames(dir)).filter((name) => name.endsWith('.json')).toSorted()
  if (files.length === 0) throw new ConfigError(`there is no case (\`*.json\`) in \`${dir}\``)
  const [manifests, given, judge] = [
    await readManifests(config.manifests),
    await readGrants(grants),
    await openJudge(config),
  ]
  const conditions: CaseConditions = {
    ...judge,
    tool(upstream, tool, hash) {
      const manifest = manifests.get(upstream)
      return manifest === undefined ? undefined : toToolFacts(manifest, tool, hash, manifest.accepted !== undefined)
    },
    output: (source) => toOutput((upstream) => manifests.get(upstream), source),
    grants: (request) => given.flatMap((grant) => grant(request)),
    anomalyThreshold: config.anomaly.falsePositivesPerTask,
  }
  try {
    const cases: TestedCase[] = []
    for (const file of files) cases.push(await testFile(dir, file, conditions))
    return { policy: toPolicyVersion(judge.engines), cases }
  } finally {
    await judge.close()
  }
}

async function testFile(dir: string, file: string, conditions: CaseConditions): Promise<TestedCase> {
  const path = join(dir, file)
  const found = await readCase(path)
  const { entry, label, note, expected, was } = found
  return { file, case: { entry, label, note, expected, was }, ...(await testCase(found, conditions)) }
}

async function readCase(path: string): Promise<Case> {
  const { size } = await orConfigError(path, stat(path))
  if (size > MAX_BYTES) throw new ConfigError(`\`${path}\` is too large to be a case`)
  const found = parseCase(parseText(path, await orConfigError(path, readFile(path))))
  if (found === undefined)
    throw new ConfigError(`\`${path}\` is not a case, export it with \`unbearer report --cases\``)
  return found
}

function parseText(path: string, bytes: Uint8Array): ReturnType<typeof parseJson> {
  try {
    return parseJson(bytes, { numbers: 'any', maxDepth: 512 })
  } catch (cause) {
    throw new ConfigError(`\`${path}\` is not JSON`, { cause })
  }
}

/** A grant for those whom it names; the actor by name or thumbprint, as `grant create` resolves it. */
type GivenGrant = (request: AccessRequest) => readonly Grant[]

async function readGrants(path: string | undefined): Promise<readonly GivenGrant[]> {
  if (path === undefined) return []
  const found = await orConfigError(path, stat(path))
  const names = found.isDirectory() ? (await readNames(path)).filter((name) => /\.ya?ml$/.test(name)).toSorted() : []
  const files = found.isDirectory() ? names.map((name) => join(path, name)) : [path]
  return Promise.all(files.map(async (file) => toGiven(file, await orConfigError(file, readFile(file, 'utf8')))))
}

function toGiven(file: string, text: string): GivenGrant {
  const value = toPlainYaml(text)
  const read = ({ actor, subject }: Pick<AccessRequest, 'actor' | 'subject'>): readonly Grant[] => {
    const grant = parseGrant(value, {
      id: basename(file),
      now: Date.now(),
      resolveActor: (given) => (given === actor.id || given === actor.jkt ? actor.jkt : `other ${given}`),
      issuedBy: { role: 'operator', jkt: 'policy-test' },
    })
    const isTheirs = grant.principal.type === subject.type && grant.principal.id === subject.id
    return isTheirs && grant.actor === actor.jkt ? [grant] : []
  }
  try {
    // Once for nobody, so that a grant that cannot be parsed is told before anything is decided.
    read({ actor: { type: 'agent', id: '' }, subject: { type: '', id: '' } })
  } catch (cause) {
    throw new ConfigError(`\`${file}\`: ${cause instanceof Error ? cause.message : 'not a grant'}`, { cause })
  }
  return read
}

async function readNames(dir: string): Promise<readonly string[]> {
  return orConfigError(dir, readdir(dir))
}

async function orConfigError<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be read`, { cause })
  }
}
