/**
 * @module
 * Who is calling: every agent request is proved by RFC 9421 + Content-Digest under an enrolled key, once (design §4).
 * A proof that does not verify never becomes an AccessRequest; it is refused and counted here.
 */
import type { SessionClaims } from '../core/credential.ts'
import type { EnrolledKey, KeyRole, Task } from '../core/evidence.ts'
import type { Reason } from '../core/reasons.ts'
import { fromRecord, taskRecord } from '../core/records.ts'
import type { ClientCertificate } from '../crypto/client-certificate.ts'
import { verifyDpop } from '../crypto/dpop.ts'
import { verifyRequest, type HeaderReader } from '../crypto/http-signature.ts'
import { verifySession } from '../crypto/session-credential.ts'
import { findSigner, type IssuerKeys } from '../crypto/issuer-keys.ts'
import type { Clock } from '../ports/clock.ts'
import type { Caller } from '../ports/pep.ts'
import { ISSUED, type RevocationFeed } from '../ports/revocations.ts'
import type { Store } from '../ports/store.ts'
import type { Keyring } from './keyring.ts'
import { createNonces, type Nonces } from './nonces.ts'

/** A request as received: nothing decoded, nothing normalised. */
export interface ReceivedRequest {
  readonly method: string
  /** The request target in origin form, exactly as it stood on the request line. */
  readonly target: string
  /** The lines of a header, none joined; undefined when it is absent. */
  readonly header: HeaderReader
  readonly body: Uint8Array
  /** What the client proved in the handshake of a TLS connection that ended in this process. */
  readonly certificate?: ClientCertificate
}

export type Authenticated<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: Reason; readonly nonce?: string }

export interface Authenticator {
  /**
   * A request without session credential (`/session`, `/control`): needs a nonce of this server, and one of `roles`. The proof
   * is used up, unless whoever sends it again gets nothing by it (`isReplayHarmless`): then nothing of it is remembered.
   */
  authenticateKey(
    request: ReceivedRequest,
    roles: readonly KeyRole[],
    options?: { readonly isReplayHarmless?: boolean },
  ): Promise<Authenticated<EnrolledKey>>
  /**
   * An agent that begins a session: by a signature, or by the certificate of its connection alone. With `x5t` the session is
   * bound to that certificate (RFC 8705).
   */
  authenticateBeginning(request: ReceivedRequest): Promise<Authenticated<Beginning>>
  /** An agent's request under its session credential; refused when the agent or its task is revoked, whatever it asks. */
  authenticateAgent(request: ReceivedRequest): Promise<Authenticated<Caller>>
  /**
   * An agent that presents its session credential in the body, at `url` as this server knows itself. Proved by RFC 9421, by
   * DPoP under a nonce of this server, or by both; DPoP alone leaves the body open, and says so.
   */
  authenticateExchange(request: ReceivedRequest, compact: string, url: string): Promise<Authenticated<Caller>>
}

export interface Beginning {
  readonly key: EnrolledKey
  readonly x5t?: string
}

export interface AuthenticatorOptions {
  readonly store: Store
  readonly keyring: Keyring
  readonly issuer: string
  readonly issuerKeys: IssuerKeys
  readonly feed: RevocationFeed
  readonly clock: Clock
  /** Why this key is turned away, once it has proved the request; nothing is written for it then. */
  readonly turnAway: (jkt: string) => Reason | undefined
}

/** Proofs live at most 60 s and a little skew; burns outlive them. */
const BURN_MS = 10 * 60_000

interface Proved {
  readonly key: EnrolledKey
  readonly nonce: string
  readonly bodyBound: boolean
}

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const nonces = createNonces()
  const authenticateKey: Authenticator['authenticateKey'] = async (
    request,
    roles,
    { isReplayHarmless = false } = {},
  ) => {
    const proved = await prove(options, request)
    if (!proved.ok) return proved
    if (!roles.includes(proved.value.key.role)) return refuse('identity.key-role')
    const { key, nonce } = proved.value
    if (!nonces.isFresh(nonce.split('.', 1)[0] ?? ''))
      return { ok: false, reason: 'identity.use-nonce', nonce: nonces.mint() }
    const refused = isReplayHarmless ? undefined : nonces.spend(key.jkt, nonce)
    return refused === undefined ? { ok: true, value: key } : refuse(refused)
  }
  return {
    authenticateKey,
    async authenticateBeginning(request) {
      const { certificate } = request
      if (certificate === undefined || isSigned(request)) {
        const signed = await authenticateKey(request, ['agent'])
        return signed.ok ? { ok: true, value: toBeginning(signed.value, certificate) } : signed
      }
      const key = await options.keyring.load(certificate.jkt)
      if (key === undefined) return refuse('identity.unknown-key')
      return key.role === 'agent' ? { ok: true, value: toBeginning(key, certificate) } : refuse('identity.key-role')
    },
    async authenticateAgent(request) {
      const compact = readSessionCredential(request)
      if (compact === undefined) return refuse('identity.missing')
      if (request.certificate !== undefined && !isSigned(request)) return toAgent(options, [], compact, request)
      const proved = await prove(options, request)
      return proved.ok ? toAgent(options, [proved.value], compact, request) : proved
    },
    async authenticateExchange(request, compact, url) {
      const proofs: Proved[] = []
      const isDpop = linesOf(request.header('dpop')).length > 0
      const proved = [
        ...(isSigned(request) ? [await prove(options, request)] : []),
        ...(isDpop ? [await proveDpop(options, nonces, request, url)] : []),
      ]
      for (const each of proved) {
        if (!each.ok) return each
        proofs.push(each.value)
      }
      return toAgent(options, proofs, compact, request)
    },
  }
}

function isSigned({ header }: ReceivedRequest): boolean {
  return ['signature', 'signature-input'].some((name) => header(name) !== undefined)
}

/** Bound to the certificate where the connection shows one of the same key. */
function toBeginning(key: EnrolledKey, certificate: ClientCertificate | undefined): Beginning {
  return certificate?.jkt === key.jkt ? { key, x5t: certificate.x5t } : { key }
}

/**
 * All proofs are of one agent's key, which is that of the session credential; each of them is used up. Without any the connection
 * has to be that of the certificate which the session is bound to.
 */
async function toAgent(
  options: AuthenticatorOptions,
  proofs: readonly Proved[],
  compact: string,
  { certificate }: ReceivedRequest,
): Promise<Authenticated<Caller>> {
  const shown = certificate === undefined ? undefined : await options.keyring.load(certificate.jkt)
  const key = proofs[0]?.key ?? shown
  if (key === undefined) return refuse('identity.missing')
  if (key.role !== 'agent') return refuse('identity.key-role')
  if (proofs.some((proof) => proof.key.jkt !== key.jkt)) return refuse('identity.bad-proof')
  const { issuer, clock } = options
  const signer = findSigner(options.issuerKeys, compact)
  if (signer === undefined) return refuse('identity.bad-proof')
  const x5t = certificate === undefined ? {} : { x5t: certificate.x5t }
  const opened = verifySession({ compact, issuer, key: signer, jkt: key.jkt, now: clock.now(), ...x5t })
  if (!opened.ok) return refuse(opened.reason)
  const isBound = opened.claims.cnf['x5t#S256'] !== undefined
  if (proofs.length === 0 && !isBound) return refuse('identity.missing')
  // To be renewed like one whose time is over: the agent itself is not stopped.
  if (isFromBefore(options.feed, opened.claims.rev)) return refuse('identity.expired')
  if (isStopped(options.feed, key.jkt, opened.claims)) return refuse('identity.revoked')
  const away = options.turnAway(key.jkt)
  if (away !== undefined) return refuse(away)
  for (const proof of proofs) if (!(await burn(options, proof))) return refuse('identity.replayed')
  // Everything on a connection that the key has opened is of its holder.
  const bodyBound = isBound || proofs.some((proof) => proof.bodyBound)
  return toCaller(options, key, { grade: proofs.length === 0 ? 'mtls' : 'signature', bodyBound }, opened.claims.txn)
}

function linesOf(header: ReturnType<HeaderReader>): readonly string[] {
  return header === undefined ? [] : typeof header === 'string' ? [header] : header
}

async function proveDpop(
  options: AuthenticatorOptions,
  nonces: Nonces,
  request: ReceivedRequest,
  url: string,
): Promise<Authenticated<Proved>> {
  const verified = verifyDpop({
    proofs: linesOf(request.header('dpop')),
    method: request.method,
    url,
    acceptNonce: (nonce) => nonce !== undefined && nonces.isFresh(nonce),
    now: options.clock.now(),
  })
  if (!verified.ok)
    return verified.reason === 'identity.use-nonce'
      ? { ok: false, reason: verified.reason, nonce: nonces.mint() }
      : refuse(verified.reason)
  const key = await options.keyring.load(verified.jkt)
  if (key === undefined) return refuse('identity.unknown-key')
  return { ok: true, value: { key, nonce: verified.burnId, bodyBound: request.body.length === 0 } }
}

function refuse(reason: Reason): { ok: false; reason: Reason } {
  return { ok: false, reason }
}

/** `Authorization: Unbearer <session credential>`, on one line; anything else is not a proof of anything here. */
function readSessionCredential(request: ReceivedRequest): string | undefined {
  const header = request.header('authorization')
  const line = typeof header === 'string' ? header : header?.length === 1 ? header[0] : undefined
  return line === undefined ? undefined : /^Unbearer ([\w-]+\.[\w-]+\.[\w-]+)$/.exec(line)?.[1]
}

/** Verifies the signature under an enrolled key; keys not met before are looked up once. */
async function prove(options: AuthenticatorOptions, request: ReceivedRequest): Promise<Authenticated<Proved>> {
  let asked: string | undefined
  const attempt = () =>
    verifyRequest({
      method: request.method,
      target: request.target,
      headers: request.header,
      body: request.body,
      now: options.clock.now(),
      resolveKey(jkt) {
        asked = jkt
        return options.keyring.find(jkt)
      },
    })
  let verified = attempt()
  if (!verified.ok && verified.reason === 'identity.unknown-key' && asked !== undefined) {
    await options.keyring.load(asked)
    verified = attempt()
  }
  if (!verified.ok) return refuse(verified.reason)
  const key = await options.keyring.load(verified.jkt)
  if (key === undefined) return refuse('identity.unknown-key')
  return { ok: true, value: { key, nonce: verified.nonce, bodyBound: verified.bodyBound } }
}

/** Not everything that an agent may ask is decided: lists and the beginning of a session must stop with it as well. */
function isStopped(feed: RevocationFeed, jkt: string, { jti, txn }: SessionClaims): boolean {
  const isRevoked = feed.find('all', '*') ?? feed.find('actor', jkt) ?? feed.find('credential', jti)
  return isRevoked !== undefined || (txn !== undefined && feed.find('task', txn) !== undefined)
}

/** A task without its principal or its grant is no task any more. What is above its grant is looked at with each action. */
function isTaskStopped(feed: RevocationFeed, { principal, grant }: Task): boolean {
  const stopped = feed.find('subject', `${principal.type}/${principal.id}`)
  return stopped !== undefined || (grant !== undefined && feed.find('grant', grant) !== undefined)
}

/** Issued before continuity was lost: a proof under it may have been burned, and the burn forgotten. */
function isFromBefore(feed: RevocationFeed, rev = 0): boolean {
  return rev < (feed.find('all', ISSUED)?.rev ?? 0)
}

/** Burns the nonce of a proof: true the first time only. Applied before anything is decided under it. */
async function burn({ store, clock }: AuthenticatorOptions, { key, nonce }: Proved): Promise<boolean> {
  const result = await store.commit({
    burns: [{ domain: 'proof', id: `${key.jkt}.${nonce}`, expires: clock.now() + BURN_MS }],
  })
  if (result.status !== 'applied') return false
  // Whoever decides waits for the disk; a failure here undoes the decision of the same group as well.
  result.durable.catch(() => undefined)
  return true
}

async function toCaller(
  options: AuthenticatorOptions,
  key: EnrolledKey,
  proof: Pick<Caller['proof'], 'grade' | 'bodyBound'>,
  txn: string | undefined,
): Promise<Authenticated<Caller>> {
  const [record] = txn === undefined ? [undefined] : await options.store.get([taskRecord(txn)])
  const task = fromRecord<Task>(record)
  if (txn !== undefined && task === undefined) return refuse('identity.unknown-task')
  if (task !== undefined && task.actor !== key.jkt) return refuse('identity.task-mismatch')
  if (task !== undefined && isTaskStopped(options.feed, task)) return refuse('identity.revoked')
  return {
    ok: true,
    value: {
      proof: { ...proof, jkt: key.jkt },
      actor: { type: 'agent', id: key.name, jkt: key.jkt },
      ...(task === undefined ? {} : { task }),
    },
  }
}
