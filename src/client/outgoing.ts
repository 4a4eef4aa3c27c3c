/**
 * @module
 * What `fetch` was called with, as plain data: the URL, the method, the headers, and the whole body as bytes.
 */
import { InputError } from '../core/errors.ts'

/** A request before it is signed. */
export interface Plain {
  readonly url: URL
  readonly method: string
  readonly headers: Headers
  readonly body?: Uint8Array<ArrayBuffer>
  readonly signal?: AbortSignal | null
}

type Input = Parameters<typeof globalThis.fetch>[0]
type Init = Parameters<typeof globalThis.fetch>[1]

const BARE_TYPE = 'application/octet-stream'

/**
 * Reads the arguments of a `fetch`, with every kind of body that the platform knows. A body without a type gets the one that
 * the platform would give it, else `application/octet-stream`. Rejects with `InputError` for a URL that is not absolute.
 * Does not keep `cache`, `credentials`, `mode` and the like, which mean nothing outside a browser.
 */
export async function toOutgoing(input: Input, init: Init = {}): Promise<Plain> {
  if (input instanceof Request) return fromRequest(new Request(input, init))
  if (!URL.canParse(String(input))) throw new InputError('the URL must be absolute')
  const headers = new Headers(init.headers)
  const { signal } = init
  const body = await readBody(init.body, headers)
  return {
    url: new URL(input),
    method: (init.method ?? 'GET').toUpperCase(),
    headers,
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
  }
}

async function fromRequest(request: Request): Promise<Plain> {
  const headers = new Headers(request.headers)
  const body = request.body === null ? undefined : new Uint8Array(await request.arrayBuffer())
  if (body !== undefined && !headers.has('content-type')) headers.set('content-type', BARE_TYPE)
  return {
    url: new URL(request.url),
    method: request.method.toUpperCase(),
    headers,
    ...(body === undefined ? {} : { body }),
    signal: request.signal,
  }
}

type Body = NonNullable<Init>['body']

async function readBody(body: Body, headers: Headers): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (body === undefined || body === null) return undefined
  if (typeof body === 'string') {
    // The common case, without the detour through a response.
    if (!headers.has('content-type')) headers.set('content-type', 'text/plain;charset=UTF-8')
    return new TextEncoder().encode(body)
  }
  const whole = new Response(body)
  if (!headers.has('content-type')) headers.set('content-type', whole.headers.get('content-type') ?? BARE_TYPE)
  return new Uint8Array(await whole.arrayBuffer())
}
