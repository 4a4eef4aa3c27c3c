/**
 * @module
 * The only composition root: everything is constructed here, by dynamic import, so that what is not configured is not loaded.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'

import type { EnrolledKey, Task } from '../core/evidence.ts'
import { InvariantError, RefusedError } from '../core/errors.ts'
import { asJson, type JsonObject } from '../core/json.ts'
import { SESSION_TTL_SECONDS } from '../core/credential.ts'
import { WORST } from '../core/effect.ts'
import type { ModeFacts, ModeFile } from '../core/mode.ts'
import type { ServerManifest } from '../core/manifest.ts'
import { importKey, replaceKeyFile, type KeyPair, type PrivateJwk } from '../crypto/keys.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import { issueSession } from '../crypto/session-credential.ts'
import type { Admission } from '../pdp/admission.ts'
import { createAuthenticator } from '../pdp/authenticate.ts'
import { createKeyring } from '../pdp/keyring.ts'
import { newId, toControlUnit } from '../pdp/log-entries.ts'
import { createModes, type Modes } from '../pdp/modes.ts'
import { toPatientStore } from '../pdp/patient-store.ts'
import { createPdp, type Pdp, type PdpSettings } from '../pdp/pdp.ts'
import { createSweeper, sweepHourly } from '../pdp/retention.ts'
import type { SealedStore } from '../pdp/sealed-store.ts'
import { createSuspensions, type Suspensions } from '../pdp/suspensions.ts'
import { createTelemetry, type Telemetry } from '../pdp/telemetry.ts'
import type { Clock } from '../ports/clock.ts'
import type { Engine } from '../ports/engine.ts'
import type { OperatorPolicy } from '../ports/operator-policy.ts'
import type { ModeOf, Pep } from '../ports/pep.ts'
import { ISSUED } from '../ports/revocations.ts'
import type { Store, StoreOptions } from '../ports/store.ts'
import { modeRecord, revocationRecord } from '../core/records.ts'
import { createApprovals } from '../server/approvals.ts'
import { createBreakGlasses } from '../server/break-glass.ts'
import {
  createControl,
  type AcceptedManifest,
  type Control,
  type ControlOptions,
  type Services,
} from '../server/control.ts'
import { syncFolder } from '../server/durable-file.ts'
import { createErasure, eraseAgain } from '../server/erasure.ts'
import type { JudgeOptions } from '../pdp/replay.ts'
import type { Publisher } from '../server/feed/publisher.ts'
import { createGrants } from '../server/grants.ts'
import { createHeadKeeper } from '../server/head.ts'
import { createJournal, journalPath, type Journal } from '../server/journal.ts'
import { createIssuerKeyring, type IssuerKeyring } from '../server/issuer-keys.ts'
import { createKeys } from '../server/keys.ts'
import { createModeActs } from '../server/modes.ts'
import { createRestores } from '../server/suspensions.ts'
import { createRevocations } from '../server/revocations.ts'
import { createTasks } from '../server/tasks.ts'
import { createDelegations, type Trust } from '../server/trust/delegations.ts'
import type { Migrated } from '../stores/sqlite-schema.ts'
import { assertHead, type Place } from './assert-head.ts'
import { createAvailability } from './availability.ts'
import { createEngines } from './compose-engines.ts'
import { createEvents, type Events } from './compose-events.ts'
import { createFeed, isTaskStopped } from './compose-feed.ts'
import { assertDeployment } from './deployment.ts'
import { openEvidence } from './evidence.ts'
import type { FreeSpace } from './free-space.ts'
import type { Config } from './load.ts'
import { createWhatIf, isHere, WHAT_IF_MS } from './judge.ts'
import { manifestDigest, toManifestYaml } from './manifest.ts'
import { createManifestRegistry, type ManifestRegistry } from './manifest-registry.ts'
import { assertNotLockedOut, loadOperatorPolicy, mayAccept, mayObserve } from './operator-policy.ts'
import { readKey } from './read-key.ts'
import { createTrust } from './compose-trust.ts'

/** The state of one installation, opened for writing: what operator commands need. */
export interface Opened {
  readonly store: SealedStore
  readonly control: Control
  readonly services: Services
  readonly manifests: ManifestRegistry
  readonly modes: Modes
  readonly suspensions: Suspensions
  /** The verifier key of the log (C2SP signed-note). */
  readonly vkey: string
  readonly issuerKeys: IssuerKeyring
  readonly clock: Clock
  close(): Promise<void>
}

/** The decision chain over an opened installation: what a PEP needs. */
export interface Composed extends Opened {
  readonly pep: Pep
  readonly pdp: Pdp
  readonly telemetry: Telemetry
  readonly space: FreeSpace
  readonly publisher: Publisher
  readonly events: Events
  readonly authenticator: ReturnType<typeof createAuthenticator>
  readonly issueSession: (agent: EnrolledKey, txn: string | undefined, x5t?: string) => Promise<JsonObject>
  /**
   * Builds everything that another configuration needs, warmed, beside what serves. Throws what is wrong with it, and changes
   * nothing. `swap` puts it in force in one step; `discard` gives it up.
   */
  readonly prepare: (next: Config) => Promise<Prepared>
  /** What keeps an engine from answering now; empty when nothing does. */
  readonly engineProblems: () => Promise<readonly string[]>
}

/** Everything of another configuration, ready to be put in force. */
export interface Prepared {
  /** Synchronous, and cannot fail. What was begun ends under what it was begun with. */
  swap(): void
  discard(): Promise<void>
}

const clock: Clock = { now: () => Date.now() }

/** What may be replaced while it runs, because control is made before the PDP. */
interface Hooks {
  reload: () => Promise<void>
  canary: ControlOptions['canary']
  status: () => JsonObject | Promise<JsonObject>
  whatIf: () => Promise<JudgeOptions>
  /** What of another configuration stands below the decision chain: policies of operators, manifests, modes. */
  prepare: (next: Config) => Promise<Prepared>
}

/** What stands below the decision chain and another configuration replaces. */
interface Standing {
  policy?: OperatorPolicy
  file: ModeFile
  trust: Trust
}

function needPolicy({ policy }: Standing): OperatorPolicy {
  if (policy === undefined) throw new InvariantError('the policies of operators are not loaded yet')
  return policy
}

/** Told in words what the operator should know of the opening, and nothing is wrong with. */
export type Notice = (text: string) => void

/**
 * Opens the installation: keys, store, head outside, control plane. Throws `ConfigError` for a configuration that cannot be
 * used, `IntegrityError` when the log is shorter than or different from the head outside, `UnavailableError` when another
 * process has it open for writing.
 */
export async function openInstallation(config: Config, notice: Notice = () => undefined): Promise<Opened> {
  return (await open(config, notice, assertHead)).opened
}

/**
 * Like `openInstallation`, with somebody else to judge the log against the head outside, before anything is committed or
 * merged: for `unbearer recover` and `restore`, and for nobody who serves.
 */
export async function openJudged(config: Config, notice: Notice, judge: Judge): Promise<Opened> {
  return (await open(config, notice, judge)).opened
}

export type Judge = (place: Place, clock: Clock) => Promise<void>

async function open(config: Config, notice: Notice, judge: Judge): Promise<{ opened: Opened; hooks: Hooks }> {
  assertDeployment(config)
  const issuerKey = readKey(config.keys.issuer, 'keys.issuer')
  const logKey = readKey(config.audit.checkpointKey, 'audit.checkpointKey')
  const origin = toLogOrigin(config.issuer)
  const vkey = toVkey(origin, logKey)
  const head = createHeadKeeper(config.audit.head, vkey)
  const migrations: Migrated[] = []
  const plain = await openStore(config, {
    seal: createSeal(origin, logKey),
    onSealed(checkpoint) {
      if (config.store.kind === 'sqlite') head.write(checkpoint)
    },
    onMigrated: (migrated) => migrations.push(migrated),
  })
  const inner = toPatientStore(plain, config.limits.disk)
  try {
    const journal = config.store.kind === 'sqlite' ? createJournal(journalPath(config.audit.head)) : undefined
    let opening: Promise<SealedStore> | undefined
    const sealed = async (): Promise<SealedStore> => (opening ??= openEvidence(config, inner, notice))
    if (journal === undefined) await forgetIssued(inner)
    else await judge({ store: inner, sealed, head, vkey, journal }, clock)
    const store = await sealed()
    for (const migrated of migrations) await recordMigration(store, migrated, notice)
    const again = journal === undefined ? 0 : await eraseAgain(store, journal)
    if (again > 0) notice(`erased ${again} subjects again that the store had from before their erasure`)
    const standing: Standing = { file: config.modes, trust: createTrust(config.trust, clock) }
    const { services, modes, suspensions } = await createServices(store, config, journal, standing, notice)
    standing.policy = await openOperatorPolicy(config, services)
    await modes.load()
    const manifests = await createManifestRegistry(
      config.manifests,
      async () => acceptors(services, needPolicy(standing)),
      (jkt) => services.revocations.find('actor', jkt) !== undefined,
    )
    const issuerKeys = await openIssuerKeys(config, store, issuerKey)
    const whatIf = createWhatIf(config)
    const hooks: Hooks = {
      reload: async () => manifests.reload(),
      // With nobody serving there is no PEP to ask, and nothing that could be under way.
      canary: async () => ({ peps: [], silent: [] }),
      status: () => ({}),
      whatIf: async () => whatIf.open(),
      async prepare(next) {
        const nextPolicy = await openOperatorPolicy(next, services)
        try {
          const swapManifests = await manifests.prepare(next.manifests, async () => acceptors(services, nextPolicy))
          return {
            swap() {
              standing.policy?.close()
              standing.policy = nextPolicy
              standing.file = next.modes
              standing.trust = createTrust(next.trust, clock)
              swapManifests()
            },
            discard: async () => Promise.resolve(nextPolicy.close()),
          }
        } catch (cause) {
          nextPolicy.close()
          throw cause
        }
      },
    }
    const control = createControl({
      store,
      clock,
      newId,
      services,
      policy: () => needPolicy(standing),
      issuerKeys,
      reload: async () => hooks.reload(),
      manifests: toManifestControl(manifests),
      canary: async (...asked) => hooks.canary(...asked),
      status: () => hooks.status(),
      whatIf: async () => hooks.whatIf(),
      manifest: (upstream) => manifests.find(upstream),
    })
    const close = async (): Promise<void> => {
      await whatIf.close()
      services.revocations.close()
      standing.policy?.close()
      await store.close()
    }
    return {
      opened: { store, control, services, manifests, modes, suspensions, vkey, issuerKeys, clock, close },
      hooks,
    }
  } catch (cause) {
    await inner.close()
    throw cause
  }
}

/** The issuer's keys; one that is in a file can be replaced there. */
async function openIssuerKeys({ keys }: Config, store: Store, key: KeyPair): Promise<IssuerKeyring> {
  const { source } = keys.issuer
  const replace = async (jwk: PrivateJwk): Promise<KeyPair> => {
    if ('file' in source) await replaceKeyFile(source.file, jwk)
    return importKey({ ...jwk })
  }
  return createIssuerKeyring({ store, clock, newId, key, ...('file' in source ? { replace } : {}) })
}

/** Opens the installation and wires the decision chain. Engines are warm when this returns. */
export async function compose(config: Config, report: (where: string, fault: unknown) => void): Promise<Composed> {
  const { opened, hooks } = await open(config, (text) => report('store', text), assertHead)
  try {
    return await composeOver(config, opened, hooks, report)
  } catch (cause) {
    await opened.close()
    throw cause
  }
}

async function composeOver(
  config: Config,
  opened: Opened,
  hooks: Hooks,
  report: (where: string, fault: unknown) => void,
): Promise<Composed> {
  const { store, services, manifests, modes, suspensions, issuerKeys } = opened
  const telemetry = createTelemetry()
  const availability = await createAvailability({ config, store, clock, services, suspensions, telemetry, report })
  let inForce = { config, engines: await createEngines(config) }
  const { createEffectComputer } = await import('../effects/manifest.ts')
  await recordModes(store, config, modes)
  const effects = await createEffectComputer()
  const pdp = createPdp({
    store,
    clock,
    feed: services.revocations,
    effects,
    telemetry,
    issuer: config.issuer,
    issuerKeys,
    modes,
    tool: (upstream, tool, descriptorHash) => manifests.tool(upstream, tool, descriptorHash),
    generation: () => manifests.generation(),
    admission: availability.admission,
    suspensions,
    report,
    ...toSettings(inForce),
  })
  const { revocations } = services
  const feed = createFeed({ issuer: config.issuer, keys: issuerKeys, revocations, clock, pdp, telemetry })
  hooks.canary = feed.canary
  const events = createEvents({ config, store, clock, services, issuerKeys, telemetry, report })
  hooks.status = async () => ({
    ...(await toStatus(inForce.config, opened, pdp)),
    ...asJson(await availability.status()),
  })
  hooks.whatIf = async () => ({ engines: toHere(inForce), effects, deadlineMs: WHAT_IF_MS })
  addGauges(telemetry, services, pdp)
  const keyring = createKeyring(store)
  const stopSweeping = sweepHourly(services.sweeper, (fault) => report('evidence', fault))
  return {
    ...opened,
    pdp,
    telemetry,
    space: availability.space,
    publisher: feed.publisher,
    events,
    pep: toPep(services, manifests, modes, pdp, availability.admission),
    authenticator: createAuthenticator({
      store,
      keyring,
      issuer: config.issuer,
      issuerKeys,
      feed: services.revocations,
      clock,
      turnAway: (jkt) => availability.admission.turnAway(jkt),
    }),
    engineProblems: async () =>
      (await Promise.all(inForce.engines.map(async (each) => each.problems?.() ?? []))).flat(),
    async prepare(next) {
      const below = await hooks.prepare(next)
      try {
        const engines = await createEngines(next)
        return {
          swap() {
            below.swap()
            const before = inForce.engines
            inForce = { config: next, engines }
            // What is still decided by the engines of before needs them until it is done.
            void pdp
              .configure(toSettings(inForce))
              .then(async () => closeEngines(before))
              .catch(() => undefined)
            void recordModes(store, next, modes).catch((fault: unknown) => report('modes', fault))
          },
          async discard() {
            await closeEngines(engines)
            await below.discard()
          },
        }
      } catch (cause) {
        await below.discard()
        throw cause
      }
    },
    issueSession: async (agent, txn, x5t) => openSession(config, opened, agent, txn, x5t),
    async close() {
      stopSweeping()
      feed.publisher.close()
      await events.transmitter.close()
      pdp.close()
      await availability.admission.close()
      await closeEngines(inForce.engines)
      await opened.close()
    },
  }
}

async function closeEngines(engines: readonly Engine[]): Promise<void> {
  await Promise.all(engines.map(async (engine) => engine.close()))
}

/** Those that answer in this process: nobody elsewhere is asked about what is past. */
function toHere({
  config,
  engines,
}: {
  readonly config: Config
  readonly engines: readonly Engine[]
}): readonly Engine[] {
  return engines.filter((_engine, index) => config.engine.slice(index, index + 1).every(isHere))
}

function toSettings({
  config,
  engines,
}: {
  readonly config: Config
  readonly engines: readonly Engine[]
}): PdpSettings {
  return {
    engines,
    deployment: config.deployment === 'same-user' ? 'same-user' : 'separate',
    limits: { ...config.limits, deadlineMs: config.limits.deadline },
    credentialTtlSeconds: Math.max(1, Math.floor(config.credential.ttl / 1000)),
    anomalyThreshold: config.anomaly.falsePositivesPerTask,
  }
}

/** How long a count of approvals is good for, in milliseconds: everybody may ask, and counting reads them all. */
const COUNT_MS = 1_000

function addGauges(telemetry: Telemetry, { approvals, revocations }: Services, pdp: Pdp): void {
  let counted: { readonly at: number; readonly count: Promise<number> } | undefined
  let freshAt = clock.now()
  telemetry.gauge('unbearer_actions_in_flight', () => pdp.inFlight.size())
  telemetry.gauge('unbearer_pending_approvals', async () => {
    const at = clock.now()
    if (counted === undefined || Math.abs(at - counted.at) > COUNT_MS) {
      counted = { at, count: approvals.list().then(({ length }) => length) }
    }
    return counted.count
  })
  telemetry.gauge('unbearer_revocation_feed_fresh', () => (revocations.fresh() ? 1 : 0))
  // Since it was last seen fresh here, so that it may say too much and never too little.
  telemetry.gauge('unbearer_revocation_feed_age_seconds', () => {
    if (revocations.fresh()) freshAt = clock.now()
    return (clock.now() - freshAt) / 1_000
  })
}

function toPep(services: Services, manifests: ManifestRegistry, modes: Modes, pdp: Pdp, admission: Admission): Pep {
  return {
    enforce: pdp.enforce,
    async openConnectionTask({ actor }): Promise<Task> {
      // A task is an entry too, and connections are opened at will.
      const entered = admission.enter(actor.jkt)
      if (!entered.ok) throw refused(entered.reason, 'no task is opened for this connection now')
      entered.leave()
      return services.tasks.openForConnection(actor.jkt === undefined ? {} : { jkt: actor.jkt })
    },
    mode: (upstream, of) => modes.look(toModeFacts(upstream, of)).mode,
    isStopped: (task) => isTaskStopped(services.revocations, task),
    tool: (upstream, tool, descriptorHash) => manifests.tool(upstream, tool, descriptorHash),
    manifest: (upstream) => manifests.find(upstream),
    newId,
  }
}

/** A tool that nobody has called yet is taken to do its worst. */
function toModeFacts(upstream: string, { tool, actor }: ModeOf = {}): ModeFacts {
  return {
    upstream,
    ...(tool === undefined ? {} : { tool, effect: WORST }),
    ...(actor?.jkt === undefined ? {} : { actor: { jkt: actor.jkt, name: actor.id } }),
  }
}

/** A session credential for an agent: bound to its key, at most ten minutes, and only for a task of its own. */
async function openSession(
  config: Config,
  opened: Opened,
  agent: EnrolledKey,
  txn: string | undefined,
  x5t: string | undefined,
): Promise<JsonObject> {
  const task = txn === undefined ? undefined : await opened.services.tasks.find(txn)
  if (txn !== undefined && task === undefined) throw refused('identity.unknown-task', 'there is no such open task')
  if (task !== undefined && (task.actor !== agent.jkt || task.expires <= clock.now())) {
    throw refused('identity.task-mismatch', 'this task is over or belongs to another agent')
  }
  if (opened.suspensions.isSuspended(agent.jkt)) throw refused('identity.suspended', 'this agent is suspended')
  if (opened.services.revocations.find('actor', agent.jkt) !== undefined)
    throw refused('identity.revoked', 'this key is revoked')
  const credential = issueSession({
    issuer: config.issuer,
    key: opened.issuerKeys.current(),
    sub: agent.name,
    jkt: agent.jkt,
    rev: opened.services.revocations.rev(),
    now: clock.now(),
    ...(txn === undefined ? {} : { txn }),
    ...(x5t === undefined ? {} : { x5t }),
  })
  return { credential, expires_in: SESSION_TTL_SECONDS, ...(txn === undefined ? {} : { txn }) }
}

async function createServices(
  store: SealedStore,
  { issuer, limits, evidence }: Config,
  journal: Journal | undefined,
  standing: Standing,
  notice: Notice,
): Promise<{ services: Services; modes: Modes; suspensions: Suspensions }> {
  const options = { store, clock, newId }
  const keys = createKeys(options)
  const grants = createGrants({ ...options, keys })
  const revocations = await createRevocations(store, clock, journal)
  const modes = await createModes({
    store,
    clock,
    feed: revocations,
    issuer,
    file: () => standing.file,
    // Before the policies of operators are in force nobody may leave `enforce`.
    policyVersion: () => standing.policy?.version ?? '',
    mayObserve: (key) => standing.policy !== undefined && mayObserve(standing.policy, key, clock.now()),
  })
  const suspensions = await createSuspensions({
    store,
    clock,
    rule: limits.suspend,
    report: (where, fault) => notice(typeof fault === 'string' ? fault : `${where}: it could not be recorded`),
  })
  return {
    modes,
    suspensions,
    services: {
      keys,
      grants,
      tasks: createTasks({ ...options, keys, grants, feed: revocations }),
      approvals: createApprovals(options),
      delegations: createDelegations({ ...options, issuer, keys, feed: revocations, trust: () => standing.trust }),
      revocations,
      modes: createModeActs({ ...options, issuer, keys, modes }),
      erasure: createErasure({ ...options, journal }),
      sweeper: createSweeper({ ...options, retention: evidence.retention }),
      restores: createRestores({ ...options, keys, suspensions }),
      breakGlasses: createBreakGlasses({ ...options, issuer, keys, feed: revocations, notice }),
    },
  }
}

async function standingOperators({ keys, revocations }: Services): Promise<readonly EnrolledKey[]> {
  const operators = await keys.list('operator')
  return operators.filter(({ jkt }) => revocations.find('actor', jkt) === undefined)
}

async function openOperatorPolicy(config: Config, services: Services): Promise<OperatorPolicy> {
  const policy = await loadOperatorPolicy(config.operators.policies)
  try {
    assertNotLockedOut(policy, await standingOperators(services), clock.now())
    return policy
  } catch (cause) {
    policy.close()
    throw cause
  }
}

function toAccepted(manifest: ServerManifest): AcceptedManifest {
  return { server: manifest.server, digest: manifestDigest(manifest) }
}

function toManifestControl(manifests: ManifestRegistry): NonNullable<ControlOptions['manifests']> {
  return {
    async accept(text, by, record) {
      return toAccepted(await manifests.accept(text, by, async (signed) => record(toAccepted(signed))))
    },
    show(server) {
      const found = manifests.find(server)
      return found === undefined ? undefined : toManifestYaml(found)
    },
  }
}

/** The keys whose signature puts a manifest in force. */
async function acceptors(services: Services, policy: OperatorPolicy): Promise<readonly KeyPair[]> {
  const operators = await standingOperators(services)
  return operators.filter((key) => mayAccept(policy, key, clock.now())).map(({ jwk }) => importKey({ ...jwk }))
}

async function openStore(
  config: Config,
  options: StoreOptions & { readonly onMigrated: (migrated: Migrated) => void },
): Promise<Store> {
  if (config.store.kind === 'memory') {
    const { createMemoryStore } = await import('../stores/memory.ts')
    return createMemoryStore({ ...options, clock })
  }
  const { createSqliteStore } = await import('../stores/sqlite.ts')
  const folder = dirname(config.store.path)
  if (mkdirSync(folder, { recursive: true, mode: 0o700 }) !== undefined) syncFolder(dirname(folder))
  return createSqliteStore({ ...options, path: config.store.path, clock })
}

/** A store in memory has forgotten what it burned: nothing that an earlier one issued may live. */
async function forgetIssued(store: Store): Promise<void> {
  const rev = clock.now()
  const value = { rev, dimension: 'all', id: ISSUED, at: rev }
  await store.commit({ writes: [{ key: revocationRecord(rev), value }] })
}

/** An upgrade stands in the log, and its copy is named: it holds everything that the store held, and somebody must remove it. */
async function recordMigration(store: Store, migrated: Migrated, notice: Notice): Promise<void> {
  const { from, to, copy } = migrated
  notice(
    `the store was brought from schema ${from} to ${to}; as it was it lies in \`${copy}\`, remove it when all is well`,
  )
  const detail = { from, to, copy }
  const unit = toControlUnit({ act: 'store.upgrade', by: 'system', subject: 'system', detail, now: clock.now() })
  const result = await store.commit(unit)
  if (result.status === 'applied') await result.durable
}

/** C2SP asks for a name without a scheme. */
export function toLogOrigin(issuer: string): string {
  return `${issuer.replace(/^[a-z]+:\/\//, '')}/log`
}

/** Whatever has a name that grants, modes and manifests know. */
function toServed({ upstreams, audiences }: Config): readonly { readonly name: string }[] {
  return [...upstreams, ...audiences]
}

/** The mode in which each upstream is served stands in the log whenever it changes. */
async function recordModes(store: Store, config: Config, modes: Modes): Promise<void> {
  for (const { name } of toServed(config)) {
    const { mode, from } = modes.look({ upstream: name })
    const key = modeRecord(name)
    const [record] = await store.get([key])
    if (record?.value === mode) continue
    const detail = { upstream: name, mode, from, before: record?.value ?? null }
    const unit = toControlUnit({ act: 'mode', by: 'system', subject: 'system', detail, now: clock.now() })
    const result = await store.commit({
      reads: { [key]: record?.version ?? 0 },
      writes: [{ key, value: mode }],
      ...unit,
    })
    if (result.status === 'applied') await result.durable
  }
}

async function toStatus(config: Config, { manifests, modes, services }: Opened, pdp: Pdp): Promise<JsonObject> {
  return {
    deployment: config.deployment === 'same-user' ? 'same-user' : asJson(config.deployment),
    advisory: config.deployment === 'same-user',
    upstreams: toServed(config).map(({ name }) => ({ name, ...modes.look({ upstream: name }) })),
    modes: asJson(await services.modes.list()),
    unaccepted: [...manifests.unaccepted()],
    unscanned: toServed(config)
      .filter(({ name }) => manifests.find(name) === undefined)
      .map(({ name }) => name),
    inFlight: pdp.inFlight.size(),
    rev: services.revocations.rev(),
    fresh: services.revocations.fresh(),
  }
}

function refused(reason: ConstructorParameters<typeof RefusedError>[0], message: string): RefusedError {
  return new RefusedError(reason, message)
}
