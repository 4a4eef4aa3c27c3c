/**
 * @module
 * Serves the AuthZEN PDP alone: Cedar policies of a folder over the entities of a file. With an installation every request
 * is signed by an enrolled key and every decision stands in its log; without one there is no authentication, only the
 * loopback is listened on, and the log lives as long as the process.
 */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'

import { asJson } from '../core/json.ts'
import { ConfigError, UnavailableError, UnbearerError } from '../core/errors.ts'
import type { EnrolledKey, KeyRole } from '../core/evidence.ts'
import { generateKey, importKey } from '../crypto/keys.ts'
import { createSeal, toVkey } from '../crypto/note.ts'
import { createAuthenticator, type Authenticated } from '../pdp/authenticate.ts'
import { createKeyring } from '../pdp/keyring.ts'
import { newId, toDecisionUnit, type LogUnit } from '../pdp/log-entries.ts'
import type { Clock } from '../ports/clock.ts'
import type { EntityPolicies } from '../ports/entity-policies.ts'
import type { Store } from '../ports/store.ts'
import { toForeign } from '../server/app.ts'
import { createAuthzenApp, type Admitted, type Asked } from '../server/authzen/app.ts'
import { parseEntities, type Entities } from '../server/authzen/entities.ts'
import { createAuthzenPdp, toReason, type Judged } from '../server/authzen/pdp.ts'
import { createBodyReader } from '../server/body.ts'
import { openInstallation, toLogOrigin } from './compose.ts'
import { peerCertificate } from '../crypto/client-certificate.ts'
import { listen, stop, toOrigin, type Listening } from './listen.ts'
import { isLoopback, type Config } from './load.ts'

export interface PdpOptions {
  /** The folder with `*.cedar`. */
  readonly policies: string
  /** The NDJSON file of entities. */
  readonly entities: string
  readonly listening: Listening
  /** Fixtures only: what a PEP says about subject, action, resource and context counts as known. */
  readonly trustClaims: boolean
  /** The installation whose keys and log are used; absent: no authentication, and a log in memory. */
  readonly config?: Config
  readonly report: (where: string, fault: unknown) => void
}

export interface ServingPdp {
  readonly origin: string
  readonly authentication: 'signature' | 'none'
  readonly policy: string
  readonly actions: readonly string[]
  readonly entities: number
  /** The verifier key of the log. */
  readonly vkey: string
  close(): Promise<void>
}

/**
 * Loads, opens and listens. Throws `ConfigError` for policies or entities that cannot be used and for a listener beyond the
 * loopback without authentication, `UnavailableError` when the address is taken, and what `openInstallation` throws.
 */
export async function servePdp(options: PdpOptions): Promise<ServingPdp> {
  const { listening, config } = options
  if (config === undefined && !isLoopback(listening.listen.host))
    throw new ConfigError('without `--config` nobody is authenticated, so that only the loopback may be listened on')
  const entities = parseEntities(await readEntities(options.entities))
  const policies = await loadPolicies(options.policies)
  const books = await openBooks(config)
  try {
    const state: { origin: string } = { origin: '' }
    const app = createPdpApp(options, { policies, entities, books, origin: () => state.origin })
    const server = await listen(listening, app.fetch).catch((cause: unknown) => {
      if (cause instanceof UnbearerError) throw cause
      const { host, port } = listening.listen
      throw new UnavailableError(`\`${host}:${port}\` cannot be listened on, is it taken`, { cause })
    })
    state.origin = config?.origin ?? toOrigin(listening, server)
    const close = async (): Promise<void> => {
      await stop(server)
      policies.close()
      await books.close()
    }
    const { version: policy, actions } = policies
    const authentication = config === undefined ? 'none' : 'signature'
    return { origin: state.origin, authentication, policy, actions, entities: entities.size, vkey: books.vkey, close }
  } catch (cause) {
    policies.close()
    await books.close()
    throw cause
  }
}

const clock: Clock = { now: () => Date.now() }

/** Where decisions are written, and who may ask. */
interface Books {
  readonly store: Store
  readonly vkey: string
  readonly advisory: boolean
  readonly rev: () => number
  readonly admit: (incoming: IncomingMessage, body: Uint8Array) => Promise<Admitted>
  close(): Promise<void>
}

/** PEPs ask; hosts and operators may look. An agent's key may not: it would learn where its limits are. */
const ASKERS: readonly KeyRole[] = ['pep', 'host', 'operator']

/** No agent asks here, so that there is nobody to turn away. */
const turnAway = (): undefined => undefined

async function openBooks(config: Config | undefined): Promise<Books> {
  if (config === undefined) return openMemory()
  const opened = await openInstallation(config)
  const { store, services, issuerKeys, vkey } = opened
  const feed = services.revocations
  const keyring = createKeyring(store)
  const { issuer } = config
  const authenticator = createAuthenticator({ store, keyring, issuer, issuerKeys, feed, clock, turnAway })
  return {
    store,
    vkey,
    advisory: config.deployment === 'same-user',
    rev: () => feed.rev(),
    async admit(incoming, body) {
      const { method = '', url = '', headersDistinct } = incoming
      const received = { method, target: url, header: (name: string) => headersDistinct[name.toLowerCase()], body }
      const shown = ['signature', 'signature-input'].some((name) => headersDistinct[name] !== undefined)
        ? undefined
        : peerCertificate(incoming)
      const by =
        shown === undefined
          ? await authenticator.authenticateKey(received, ASKERS)
          : toAsker(await keyring.load(shown.jkt))
      if (!by.ok) return by
      if ((feed.find('all', '*') ?? feed.find('actor', by.value.jkt)) !== undefined)
        return { ok: false, reason: 'identity.revoked' }
      return { ok: true, proof: shown === undefined ? 'signature' : 'mtls', by: by.value.jkt }
    },
    close: async () => opened.close(),
  }
}

/** A PEP that speaks AuthZEN and nothing of ours shows its key in the handshake, where `tls.clientCertificates` asks for one. */
function toAsker(key: EnrolledKey | undefined): Authenticated<EnrolledKey> {
  if (key === undefined) return { ok: false, reason: 'identity.unknown-key' }
  return ASKERS.includes(key.role) ? { ok: true, value: key } : { ok: false, reason: 'identity.key-role' }
}

async function openMemory(): Promise<Books> {
  const { createMemoryStore } = await import('../stores/memory.ts')
  const key = importKey({ ...generateKey('Ed25519') })
  const origin = toLogOrigin('http://pdp.invalid')
  return {
    store: createMemoryStore({ seal: createSeal(origin, key), clock }),
    vkey: toVkey(origin, key),
    advisory: true,
    rev: () => 0,
    admit: async () => Promise.resolve({ ok: true, proof: 'none', by: 'unproved' }),
    close: async () => Promise.resolve(),
  }
}

interface Parts {
  readonly policies: EntityPolicies
  readonly entities: Entities
  readonly books: Books
  readonly origin: () => string
}

function createPdpApp(options: PdpOptions, { policies, entities, books, origin }: Parts) {
  const { trustClaims, config, report } = options
  const pageKey = randomBytes(32)
  const app = createAuthzenApp({
    pdp: (asked) =>
      createAuthzenPdp({
        policies,
        entities,
        trustClaims,
        pageKey,
        record: async (judged) => record(books, judged, asked),
      }),
    origin,
    admit: async (incoming, body) => books.admit(incoming, body),
    foreign: (incoming) => toForeign(incoming, toHosts(config)),
    readBody: createBodyReader(config?.limits.messageBytes ?? 4_194_304),
    report,
  })
  return app
}

function toHosts(config: Config | undefined): readonly string[] {
  const named = [config?.issuer, config?.origin].flatMap((url) => (url === undefined ? [] : [new URL(url).hostname]))
  return [...named, ...(config === undefined ? [] : [config.listen.host])]
}

/** All decisions of one request in one commit; nothing is answered before the log has them (invariant 1). */
async function record({ store, advisory, rev }: Books, judged: readonly Judged[], asked: Asked): Promise<string[]> {
  if (judged.length === 0) return []
  const units = judged.map((each) => toUnit(each, asked, { advisory, rev: rev() }))
  const result = await store.commit({
    entries: units.flatMap(({ entries }) => [...entries]),
    evidence: units.flatMap(({ evidence }) => [...evidence]),
  })
  if (result.status !== 'applied') throw new UnavailableError('the decisions could not be recorded')
  await result.durable
  return units.map(({ entries: [entry] }) => entry.id)
}

function toUnit(
  { evaluation, question, answer, policy }: Judged,
  { proof, by }: Asked,
  marks: { readonly advisory: boolean; readonly rev: number },
): LogUnit {
  const reason = toReason(answer)
  const { subject } = evaluation
  return toDecisionUnit(
    {
      id: newId(),
      time: clock.now(),
      plane: 'authzen',
      mode: 'enforce',
      decision: reason === undefined ? 'permit' : 'deny',
      ...(reason === undefined ? {} : { reason }),
      proof,
      policy,
      ...marks,
    },
    {
      request: asJson(evaluation),
      evidence: { by, question: asJson(question) },
      findings: [],
      verdicts: [{ engine: 'cedar', version: policy, ...asJson(answer) }],
    },
    `${subject.type}/${subject.id}`,
  )
}

async function loadPolicies(folder: string): Promise<EntityPolicies> {
  const [{ createCedarEntityPolicies }, { loadPolicyFolder }] = await Promise.all([
    import('../engines/cedar-entities.ts'),
    import('../engines/policy-files.ts'),
  ])
  return createCedarEntityPolicies(await loadPolicyFolder(folder))
}

async function readEntities(path: string): Promise<string> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (cause) {
    throw new ConfigError(`cannot read the entities in \`${path}\` as UTF-8`, { cause })
  }
}
