/**
 * @module
 * The gateway as an OAuth client of an upstream: client credentials (RFC 6749 §4.4) or a refresh token (§6), for one resource
 * (RFC 8707). The agent never sees what comes of it, and nothing that an agent sent goes to an authorization server.
 *
 * The authorization server is the one of the configuration, found by RFC 8414 under its own name. What an upstream says of
 * itself (RFC 9728) can contradict it, and then nothing is sent; it can never name another one.
 */
import { isJsonObject, parseJson, UnavailableError, type Json, type JsonObject } from '../../index.ts'

export interface UpstreamOAuth {
  /** The issuer of the authorization server, as it calls itself. */
  readonly issuer: string
  readonly client: string
  /** Absent for a public client, which needs a refresh token. */
  readonly secret?: string
  readonly scope?: string
  /** The resource that tokens are asked for; the upstream itself. */
  readonly resource: string
  readonly refresh?: RefreshPlace
}

/** Where a refresh token lives; servers replace it with each use. */
export interface RefreshPlace {
  read(): string
  write(refreshToken: string): Promise<void>
}

export interface Authorizer {
  /** The value of the `Authorization` header now. Throws `UnavailableError`; its message holds nothing that was sent or received. */
  header(): Promise<string>
  /** The upstream did not take this value: the next one is asked for anew. */
  reject(header: string): void
}

interface Held {
  readonly header: string
  /** Milliseconds since the epoch from when on another one is asked for. */
  readonly until: number
}

const PATIENCE = 15_000
const MOST_BYTES = 256 * 1024
/** Seconds, where the server does not say how long, and at most. */
const [LIFE, LONGEST] = [300, 24 * 3600]
/** Renewed this long before the end, or after half of a shorter life. */
const EARLY_MS = 30_000

/** Creates the client of one upstream. Asks nothing yet. Requests at once share one token, and one way to it. */
export function createAuthorizer(oauth: UpstreamOAuth, clock: { now(): number }): Authorizer {
  let held: Held | undefined
  let asking: Promise<Held> | undefined
  const ask = async (): Promise<Held> => {
    asking ??= obtain(oauth, clock).finally(() => (asking = undefined))
    held = await asking
    return held
  }
  return {
    header: async () => (held !== undefined && clock.now() < held.until ? held : await ask()).header,
    reject(header) {
      if (held?.header === header) held = undefined
    },
  }
}

async function obtain(oauth: UpstreamOAuth, clock: { now(): number }): Promise<Held> {
  await assertOwnServer(oauth)
  const server = await discover(oauth.issuer)
  const refreshToken = oauth.refresh?.read()
  const form = new URLSearchParams({
    ...(refreshToken === undefined
      ? { grant_type: 'client_credentials' }
      : { grant_type: 'refresh_token', refresh_token: refreshToken }),
    resource: oauth.resource,
    ...(oauth.scope === undefined ? {} : { scope: oauth.scope }),
  })
  const headers = new Headers({ accept: 'application/json' })
  authenticate(oauth, server, form, headers)
  const asked = clock.now()
  const response = await send(server.endpoint, { method: 'POST', headers, body: form })
  const answer = await readObject(response)
  if (!response.ok) throw refused(response.status, answer)
  const made = toHeld(answer, asked)
  const next = answer['refresh_token']
  // Kept before it is used: a server that replaced the old one takes that no more.
  if (typeof next === 'string' && next !== '' && next !== refreshToken) await oauth.refresh?.write(next)
  return made
}

function toHeld({ access_token: access, token_type: type, expires_in: life = LIFE }: JsonObject, asked: number): Held {
  if (typeof access !== 'string' || !/^[\x21-\x7e]{1,16384}$/u.test(access))
    throw new UnavailableError('the authorization server of the upstream answered without a token')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    throw new UnavailableError(
      'the authorization server of the upstream issued a token of a type that is not known here',
    )
  const seconds = typeof life === 'number' && life >= 0 ? Math.min(life, LONGEST) : LIFE
  const lifeMs = seconds * 1000
  return { header: `Bearer ${access}`, until: asked + Math.max(lifeMs - EARLY_MS, lifeMs / 2) }
}

function authenticate(
  { client, secret }: UpstreamOAuth,
  server: Server,
  form: URLSearchParams,
  headers: Headers,
): void {
  if (secret === undefined) return form.set('client_id', client)
  if (server.methods.includes('client_secret_basic')) {
    // RFC 6749 §2.3.1: each part is form-encoded first, so that a colon in it is none.
    const pair = Buffer.from(`${encode(client)}:${encode(secret)}`).toString('base64')
    return headers.set('authorization', `Basic ${pair}`)
  }
  if (!server.methods.includes('client_secret_post'))
    throw new UnavailableError('the authorization server of the upstream takes no client secret')
  form.set('client_id', client)
  form.set('client_secret', secret)
}

function encode(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}

interface Server {
  readonly endpoint: URL
  readonly methods: readonly string[]
}

/** RFC 8414 §3.1 and §3.3, then OpenID Connect Discovery. The answer must call itself what it was asked as. */
async function discover(issuer: string): Promise<Server> {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/u, '')
  const places = [
    `${origin}/.well-known/oauth-authorization-server${path}`,
    `${origin}${path}/.well-known/openid-configuration`,
  ]
  for (const place of places) {
    const response = await send(new URL(place), {})
    const metadata = response.ok ? await readObject(response) : await drop(response)
    if (metadata === undefined) continue
    if (metadata['issuer'] !== issuer)
      throw new UnavailableError(
        'the authorization server of the upstream goes by another name than the configured one',
      )
    return toServer(metadata)
  }
  throw new UnavailableError('the authorization server of the upstream has no metadata')
}

function toServer({ token_endpoint: endpoint, token_endpoint_auth_methods_supported: methods }: JsonObject): Server {
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint) || !isSafe(new URL(endpoint)))
    throw new UnavailableError('the authorization server of the upstream has no token endpoint that is safe to use')
  const known: readonly Json[] = Array.isArray(methods) ? methods : ['client_secret_basic']
  return { endpoint: new URL(endpoint), methods: known.filter((method) => typeof method === 'string') }
}

/** RFC 9728: an upstream that says whose tokens it takes, and for what, must say what the configuration says. */
async function assertOwnServer({ issuer, resource }: UpstreamOAuth): Promise<void> {
  const { origin, pathname } = new URL(resource)
  const response = await send(
    new URL(`${origin}/.well-known/oauth-protected-resource${pathname.replace(/\/$/u, '')}`),
    {},
  )
  const metadata = response.ok ? await readObject(response).catch(() => undefined) : await drop(response)
  if (metadata === undefined) return
  const { authorization_servers: servers, resource: named } = metadata
  const isListed = servers === undefined || (Array.isArray(servers) && servers.includes(issuer))
  if (isListed && (named === undefined || named === resource)) return
  throw new UnavailableError(
    'the upstream says that it takes tokens of another authorization server or for another resource',
  )
}

/** What is secret goes over TLS, or stays on this machine. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || (protocol === 'http:' && /^(?:127(?:\.\d{1,3}){3}|\[::1\])$/u.test(hostname))
}

async function send(url: URL, init: RequestInit): Promise<Response> {
  if (!isSafe(url)) throw new UnavailableError('the authorization server of the upstream is asked over https only')
  try {
    // A redirect would carry the secret to wherever the answer says.
    return await fetch(url, { ...init, redirect: 'error', signal: AbortSignal.timeout(PATIENCE) })
  } catch (cause) {
    throw new UnavailableError('the authorization server of the upstream could not be reached', { cause })
  }
}

async function drop(response: Response): Promise<undefined> {
  await response.body?.cancel()
}

async function readObject(response: Response): Promise<JsonObject> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > MOST_BYTES) throw new UnavailableError('the authorization server of the upstream says too much')
  }
  try {
    const value = parseJson(text, { numbers: 'any' })
    if (isJsonObject(value)) return value
  } catch {
    // Told below: what it says may hold what we sent.
  }
  throw new UnavailableError('the authorization server of the upstream does not answer with a JSON object')
}

/** Its code is of a closed alphabet; its description may repeat a secret. */
function refused(status: number, { error }: JsonObject): UnavailableError {
  const code = typeof error === 'string' && /^[a-z_]{1,40}$/u.test(error) ? `: ${error}` : ''
  return new UnavailableError(`the authorization server of the upstream refused with status ${status}${code}`)
}
