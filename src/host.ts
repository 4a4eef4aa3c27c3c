/**
 * @module
 * `connect`: an installation in the process of the application around an agent. Everything but types is imported when it is
 * called, so that importing `unbearer` loads no store, engine or server.
 */
import { randomBytes } from 'node:crypto'

import type { Composed } from './config/compose.ts'
import { ConfigError, RefusedError, UnbearerError } from './core/errors.ts'
import type { EnrolledKey, Task } from './core/evidence.ts'
import type { Grant } from './core/grant.ts'
import type { JsonObject } from './core/json.ts'
import { fromRecord } from './core/records.ts'
import { REASONS, type Reason } from './core/reasons.ts'
import type { KeyPair } from './crypto/keys.ts'
import { createHostTask, type HostTask } from './host-task.ts'

export interface ConnectOptions {
  /** The path of `unbearer.yaml`. */
  readonly config: string
  /** The private key of an enrolled host: a path to its JWK, or the JWK. */
  readonly key: string | JsonObject
  /**
   * Whether people can reach this process at the configured address to approve, revoke and look. Default true: while this
   * process has the store open, nobody else can do it in another.
   */
  readonly listen?: boolean
  /** Told of every fault, for the operator's log. Default: one line on standard error. */
  readonly report?: (where: string, fault: unknown) => void
}

export interface TaskRequest {
  /** What the principal asked for, in their words: the only text that vouches for them. */
  readonly purpose: string
  /** A bare id is of type `user`. */
  readonly principal: string | { readonly type: string; readonly id: string }
  /** Name or thumbprint of an enrolled agent key. */
  readonly actor: string
  /** A grant's id; without it the only valid grant of this principal to this actor. */
  readonly grant?: string
}

export interface GrantRequest {
  /** `{actor, operations?, budgets?, expires?, notBefore?, depth?}`: within the ceiling of the issuer, and all of it by default. */
  readonly grant: JsonObject
  /** What an issuer of `trust.issuers` gave for the principal. It is used up by this. */
  readonly subjectToken: string
  /** `id-token`, `access-token`, `id-jag`, or the URI of RFC 8693 §3. */
  readonly subjectTokenType: string
  /** The salt of `toGrantNonce`, where the nonce is bound. */
  readonly salt?: string
}

export interface Unbearer {
  /** Where people reach this process; absent with `listen: false`. */
  readonly origin?: string
  /** Opens a grant with a login of the principal. Throws `RefusedError` or `InputError` as `unbearer grant open` would. */
  openGrant(request: GrantRequest): Promise<Pick<Grant, 'id' | 'principal' | 'expires'>>
  /** Throws `RefusedError` or `InputError` as `unbearer task open` would. */
  openTask(request: TaskRequest): Promise<HostTask>
  /** A task that this host key opened, also before a restart. Throws `RefusedError` for any other. */
  resumeTask(txn: string): Promise<HostTask>
  /** Stops listening, waits for what is being written, closes the store. */
  close(): Promise<void>
}

/**
 * Opens the installation of `config` in this process and proves possession of an enrolled host key. Throws `ConfigError`,
 * `RefusedError` when the key is not an enrolled host or is revoked, `UnavailableError` when another process has the store
 * open. Does not keep other code of this process from the tools: whatever runs here can call them itself (`deployment`).
 */
export async function connect(options: ConnectOptions): Promise<Unbearer> {
  const [{ loadConfig }, key] = await Promise.all([import('./config/load.ts'), openKey(options.key)])
  const config = await loadConfig(options.config)
  const report = options.report ?? reportToStderr
  const opened = await open(config, options.listen ?? true, report)
  try {
    const host = await proveHost(opened.composed, key)
    return toUnbearer(opened, host)
  } catch (cause) {
    await opened.close()
    throw cause
  }
}

interface Open {
  readonly composed: Composed
  readonly origin?: string
  close(): Promise<void>
}

type Report = NonNullable<ConnectOptions['report']>

async function open(
  config: Parameters<typeof import('./config/compose.ts').compose>[0],
  listen: boolean,
  report: Report,
): Promise<Open> {
  if (listen) {
    const { serveInstallation } = await import('./config/listen.ts')
    return serveInstallation(config, { version: 'in-process', report })
  }
  const { compose } = await import('./config/compose.ts')
  const composed = await compose(config, report)
  return { composed, close: async () => composed.close() }
}

async function openKey(given: string | JsonObject): Promise<KeyPair> {
  const { importKey, readKeyFile } = await import('./crypto/keys.ts')
  const key = typeof given === 'string' ? await readKeyFile(given) : importKey(given)
  if (key.privateKey !== undefined) return key
  throw new ConfigError('`key` is a public key, the private key of an enrolled host is needed')
}

/** Whoever calls in this process must hold the key: it signs something fresh that the enrolled key verifies. */
async function proveHost({ services }: Composed, key: KeyPair): Promise<EnrolledKey> {
  const { importKey, signBytes, verifyBytes } = await import('./crypto/keys.ts')
  const enrolled = await services.keys.find(key.jkt)
  if (enrolled === undefined) throw refused('identity.unknown-key')
  if (enrolled.role !== 'host') throw refused('identity.key-role')
  assertNotRevoked(services, enrolled)
  const challenge = randomBytes(32)
  if (verifyBytes(importKey({ ...enrolled.jwk }), challenge, signBytes(key, challenge))) return enrolled
  throw refused('identity.bad-proof')
}

function assertNotRevoked({ revocations }: Composed['services'], { jkt }: EnrolledKey): void {
  if (revocations.find('actor', jkt) !== undefined) throw refused('identity.revoked')
}

function toUnbearer(opened: Open, host: EnrolledKey): Unbearer {
  const { composed, origin } = opened
  const { services } = composed
  return {
    ...(origin === undefined ? {} : { origin }),
    async openGrant({ grant, subjectToken, subjectTokenType, salt }) {
      const params = {
        grant,
        subject_token: subjectToken,
        subject_token_type: subjectTokenType,
        ...(salt === undefined ? {} : { salt }),
      }
      const made = fromRecord<Grant>({ value: await composed.control.call('grant.open', params, host) })
      if (made === undefined) throw refused('scope.no-grant')
      return { id: made.id, principal: made.principal, expires: made.expires }
    },
    async openTask(request) {
      const { purpose, principal, actor, grant } = request
      const params = {
        purpose,
        principal: typeof principal === 'string' ? principal : { type: principal.type, id: principal.id },
        actor,
        ...(grant === undefined ? {} : { grant }),
      }
      // The same way as over the wire: whoever holds this key may here what it may there.
      const task = fromRecord<Task>({ value: await composed.control.call('task.open', params, host) })
      if (task === undefined) throw refused('identity.unknown-task')
      return toHostTask(composed, task)
    },
    async resumeTask(txn) {
      assertNotRevoked(services, host)
      const task = await services.tasks.find(txn)
      if (task === undefined) throw refused('identity.unknown-task')
      if (task.openedBy.jkt !== host.jkt) throw refused('identity.task-mismatch')
      return toHostTask(composed, task)
    },
    close: async () => opened.close(),
  }
}

async function toHostTask(composed: Composed, task: Task): Promise<HostTask> {
  const agent = task.actor === undefined ? undefined : await composed.services.keys.find(task.actor)
  if (agent?.role !== 'agent') throw refused('identity.unknown-key')
  return createHostTask({
    pep: composed.pep,
    task,
    agent,
    claimCall: async (id) => claimCall(composed, task, id),
  })
}

/** A unique insert that outlives the process, so that a call that is replayed after a restart is not done again. */
async function claimCall({ store }: Composed, { txn, expires }: Task, id: string): Promise<boolean> {
  const result = await store.commit({ burns: [{ domain: `call/${encodeURIComponent(txn)}`, id, expires }] })
  if (result.status !== 'applied') return false
  await result.durable
  return true
}

function refused(reason: Reason): RefusedError {
  return new RefusedError(reason, REASONS[reason].help)
}

/** Only our own errors speak for themselves; what others say may hold what they worked on. */
function reportToStderr(where: string, fault: unknown): void {
  const said =
    fault instanceof UnbearerError ? fault.message : `unexpected ${fault instanceof Error ? fault.name : typeof fault}`
  process.stderr.write(`${new Date().toISOString()} ${where}: ${said}\n`)
}
