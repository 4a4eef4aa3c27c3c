/**
 * @module
 * What can be seen of an installation from its configuration and its files: what is open, how somebody could still get around
 * it, and what grows old. Nothing is written, and no private key is read but to see whether it is sealed.
 */
import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

import { findDeploymentProblems } from '../config/deployment.ts'
import { isLoopback, type Config, type Upstream } from '../config/load.ts'
import { openForReading } from '../config/reading.ts'
import { readCertificate } from '../config/reload.ts'
import type { Secret } from '../config/secrets.ts'
import { ConfigError, UnbearerError } from '../core/errors.ts'
import type { EnrolledKey } from '../core/evidence.ts'
import { isAdmin } from '../core/operator-roles.ts'
import { EVIDENCE_CLASSES } from '../core/retention.ts'
import { parseEntry } from '../core/parse-entry.ts'
import { isSealedKey } from '../crypto/sealed-key.ts'
import { toTime } from './command.ts'
import { examineEngines } from './examine-engines.ts'
import { examineTrust } from './examine-trust.ts'
import { listStanding } from './tool-changes.ts'

/** `bad` must be mended; `note` is something to know. */
export interface Symptom {
  readonly level: 'good' | 'note' | 'bad'
  readonly what: string
}

const good = (what: string): Symptom => ({ level: 'good', what })
const note = (what: string): Symptom => ({ level: 'note', what })
const bad = (what: string): Symptom => ({ level: 'bad', what })

/** What went wrong, in our words only. */
export function toBad(fault: unknown): Symptom {
  return bad(fault instanceof UnbearerError ? fault.message : 'something unexpected went wrong')
}

/** Everything that needs no store: the same whether a server runs or not. */
export async function examineFiles(config: Config): Promise<readonly Symptom[]> {
  return [
    ...examineDeployment(config),
    ...examineListener(config),
    ...examineBypass(config),
    ...(await examineKeys(config)),
    ...examineCertificate(config),
    ...(await examineEvidence(config)),
    ...(await examineLog(config)),
    ...(await examineSpace(config)),
    ...(await examineTools(config)),
    ...(await examineTrust(config)),
    ...(await examineEngines(config)),
  ]
}

/** What the last sessions saw; a manifest that cannot be read is told where it is read for good. */
async function examineTools({ manifests }: Config): Promise<readonly Symptom[]> {
  const seen = await listStanding(manifests).catch(() => [])
  return seen.flatMap(({ server, changes }) =>
    changes.map(({ tool, change }) =>
      bad(`tool ${tool} of ${server} was ${change} since it was accepted: \`unbearer tools changes\``),
    ),
  )
}

function examineDeployment(config: Config): readonly Symptom[] {
  const problems = findDeploymentProblems(config).map(({ message }) => bad(message))
  const fits = problems.length > 0 ? problems : [good('user ids and file modes fit the declared deployment')]
  return config.deployment === 'same-user'
    ? [...fits, note('advisory: the agent runs as this user and can get around the gateway')]
    : [...fits, good(`the agent is declared to run as user ${config.deployment.agentUid}`)]
}

function examineListener({ listen, tls, mode, modes }: Config): readonly Symptom[] {
  const address = `${listen.host}:${listen.port}`
  const where = isLoopback(listen.host)
    ? good(`open: ${address}, for every process of this machine`)
    : note(`open: ${address}, from other machines${tls === undefined ? '' : ', over TLS'}`)
  const observes = mode === 'observe' || modes.rules.some((rule) => rule.mode === 'observe')
  const unproved = 'open: requests without a proof are answered while a whole upstream observes on the loopback'
  return [
    where,
    note('open: /healthz, /readyz and /metrics answer whoever reaches the listener, without a proof'),
    ...(observes && isLoopback(listen.host) ? [note(unproved)] : []),
  ]
}

function examineBypass({ upstreams, audiences, deployment }: Config): readonly Symptom[] {
  const process = 'bypass, in a process: code beside a LangChain or AI SDK agent can call its tools without the adapter'
  return [
    ...(upstreams.length === 0 ? [note('no upstreams are configured')] : []),
    ...upstreams.map((upstream) => note(`bypass, upstream ${upstream.name}: ${toBypass(upstream, deployment)}`)),
    ...audiences.map(({ name, url }) =>
      note(`bypass, audience ${name}: ${new URL(url).origin} must refuse whatever has no action credential of ours`),
    ),
    note(process),
  ]
}

function toBypass({ command, url, secrets }: Upstream, deployment: Config['deployment']): string {
  const holds = Object.keys(secrets).length > 0
  if (url !== undefined) {
    const { origin } = new URL(url)
    return holds
      ? `${origin} can be called by whoever has its secret from elsewhere; here only the gateway has it`
      : `${origin} asks us for no secret, so that whoever reaches it can call it; let only the gateway reach it`
  }
  const program = command?.[0] ?? ''
  if (deployment === 'same-user')
    return `the agent can start \`${program}\` itself${holds ? ', and read its secrets' : ''}`
  return holds
    ? `\`${program}\` is of use only with its secrets, which the user of the agent cannot read`
    : `\`${program}\` needs no secret: the user of the agent must not be able to start it`
}

async function examineKeys(config: Config): Promise<readonly Symptom[]> {
  const { keys, audit, evidence } = config
  const own = await Promise.all([
    examineAge('issuer key', keys.issuer, keys.rotate),
    examineAge('key of the log', audit.checkpointKey, undefined),
    examineAge('master key of evidence', evidence.masterKey, undefined),
  ])
  const people = await Promise.all(
    ['operator', 'approver'].map(async (role) => examinePerson(role, join(config.dir, 'keys', `${role}.jwk`))),
  )
  return [...own.flat(), ...people.flat()]
}

/** The age of a file is that of its last writing: a copy is younger than its key. */
async function examineAge(name: string, { source }: Secret, rotate: number | undefined): Promise<readonly Symptom[]> {
  if ('env' in source) return [note(`the ${name} comes from the environment, where its age cannot be seen`)]
  const written = await stat(source.file).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
  if (written === undefined) return [bad(`the ${name} \`${source.file}\` cannot be read`)]
  const days = Math.floor((Date.now() - written) / 86_400_000)
  if (rotate === undefined || Date.now() - written <= rotate) return [good(`the ${name} is ${days} days old`)]
  return [note(`the ${name} is ${days} days old, more than \`keys.rotate\`: replace \`${source.file}\``)]
}

/** A key of a person that lies open beside the gateway is a key of whoever reads that folder. */
async function examinePerson(role: string, file: string): Promise<readonly Symptom[]> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined || isSealedKey(text)) return []
  return [
    note(
      `the key of the ${role} lies open in \`${file}\`: enrol one with a passphrase (\`--sealed\`), or take it elsewhere`,
    ),
  ]
}

/** What is kept of people: for how long, where the key to it lies, and what an upgrade left beside the store. */
async function examineEvidence({ evidence, store }: Config): Promise<readonly Symptom[]> {
  const kept = EVIDENCE_CLASSES.map((name) => `${name} ${toDays(evidence.retention[name])}`).join(', ')
  const endless = EVIDENCE_CLASSES.filter((name) => name !== 'acts' && evidence.retention[name] === undefined)
  const said = `evidence is kept: ${kept} (cases are acts)`
  const retention =
    endless.length === 0 ? good(said) : note(`${said}; write \`evidence.retention\` for ${endless.join(', ')}`)
  if (store.kind === 'memory') return [retention]
  const { source } = evidence.masterKey
  const together = 'file' in source && (await isSameDisk(store.path, source.file))
  const where =
    'the master key of evidence lies on the disk of the store: a copy of the disk reads everything, `evidence.masterKey`'
  return [retention, ...(together ? [note(where)] : []), ...(await findLeftovers(store.path))]
}

const toDays = (ms: number | undefined): string => (ms === undefined ? 'forever' : `${ms / 86_400_000}d`)

/** Copies that an upgrade made: what is erased or over is still in them. */
async function findLeftovers(path: string): Promise<readonly Symptom[]> {
  const names = await readdir(dirname(path)).catch(() => [])
  return names
    .filter((name) => name.startsWith(`${basename(path)}.schema-`))
    .toSorted()
    .map((name) => {
      const holds = /\.schema-1(?!\d)/u.test(name) ? ', in the clear, what' : ' what'
      return note(
        `\`${join(dirname(path), name)}\` holds${holds} the store held before an upgrade: remove it when all is well`,
      )
    })
}

/** Two weeks: time to get another one. */
const EXPIRES_SOON_MS = 14 * 86_400_000

function examineCertificate({ tls }: Config): readonly Symptom[] {
  if (tls === undefined) return []
  try {
    const { validFromDate, validToDate } = new X509Certificate(readCertificate(tls).cert)
    const [from, to, now] = [validFromDate.getTime(), validToDate.getTime(), Date.now()]
    if (now < from) return [bad(`the certificate is not valid before ${toTime(from)}`)]
    if (now > to) return [bad(`the certificate has expired on ${toTime(to)}`)]
    const level = to - now < EXPIRES_SOON_MS ? 'note' : 'good'
    return [{ level, what: `the certificate is valid until ${toTime(to)}; after a new one, send SIGHUP` }]
  } catch (fault) {
    return [fault instanceof UnbearerError ? toBad(fault) : bad('`tls`: the certificate cannot be read')]
  }
}

/** A clock that was set back makes old proofs and grants valid again. */
const CLOCK_SLACK_MS = 2_000

/** The newest entry and the head outside, read beside whoever writes. */
async function examineLog(config: Config): Promise<readonly Symptom[]> {
  if (config.store.kind === 'memory') return [note('the store is in memory: state and log end with the process')]
  try {
    const reading = await openForReading(config)
    try {
      const { log } = reading.store
      const size = await log.size()
      const [newest] = size === 0 ? [] : await log.entries(size - 1, size)
      return [
        ...toHeadSymptoms(size, reading.head, await isSameDisk(config.store.path, config.audit.head)),
        ...toClockSymptoms(newest === undefined ? undefined : parseEntry(newest)?.time),
      ]
    } finally {
      await reading.close()
    }
  } catch (fault) {
    // A store that nobody has opened yet is made by the first command.
    return fault instanceof ConfigError ? [] : [toBad(fault)]
  }
}

function toHeadSymptoms(size: number, head: string | undefined, sameDisk: boolean): readonly Symptom[] {
  const covered = Number(head?.split('\n')[1] ?? 0)
  if (size > 0 && head === undefined) return [bad('the head outside the store is gone, put back a copy of it')]
  if (covered > size) return [bad(`the log has ${size} entries and its head outside ${covered}: it was cut`)]
  const where = 'the head lies on the disk of the store: a copy of the disk that is put back takes both, `audit.head`'
  return [good(`the head outside covers ${covered} of ${size} entries`), ...(sameDisk ? [note(where)] : [])]
}

async function isSameDisk(...paths: readonly string[]): Promise<boolean> {
  const [a, b] = await Promise.all(
    paths.map(async (path) =>
      stat(dirname(path)).then(
        ({ dev }) => dev,
        () => undefined,
      ),
    ),
  )
  return a !== undefined && a === b
}

function toClockSymptoms(newest: number | undefined): readonly Symptom[] {
  if (newest === undefined) return []
  const behind = newest - Date.now()
  return behind > CLOCK_SLACK_MS
    ? [bad(`the clock is ${Math.ceil(behind / 1_000)} s behind the newest entry of the log: set it right`)]
    : [good('the clock is not behind the log; that it is right can only be told with another clock')]
}

const MIB = 1_048_576

async function examineSpace({ store, limits }: Config): Promise<readonly Symptom[]> {
  if (store.kind === 'memory') return []
  const free = await statfs(dirname(store.path)).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  )
  if (free === undefined) return []
  const said = `${Math.floor(free / MIB)} MiB are free on the disk of the store`
  return [free < 4 * limits.reserveBytes ? note(`${said}, little more than what is reserved`) : good(said)]
}

/** Who is left when one key is lost. `isRevoked` says so of a thumbprint. */
export function toOperatorSymptoms(
  operators: readonly EnrolledKey[],
  isRevoked: (jkt: string) => boolean,
): readonly Symptom[] {
  const admins = operators.filter((key) => isAdmin(key) && !isRevoked(key.jkt))
  const before = operators.filter(({ roles }) => roles === undefined).map(({ name }) => name)
  return [
    admins.length > 1
      ? good(`${admins.length} admins can enrol operators`)
      : note('there is one admin: when that key is lost nobody enrols or changes roles; enrol a second one'),
    ...(before.length === 0
      ? []
      : [
          note(
            `enrolled before there were roles, and admins since: ${before.join(', ')}; \`operators roles\` changes it`,
          ),
        ]),
  ]
}
