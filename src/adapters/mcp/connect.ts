/**
 * @module
 * Chooses the transport of a connection, and bounds what a server may cost: time, and lines in the operator's log.
 */
import { RefusedError, REASONS, UnavailableError, type Reason } from '../../index.ts'
import { createHttpConnection } from './http-upstream.ts'
import { createStdioConnection } from './stdio-upstream.ts'
import type { UpstreamConfig } from './types.ts'
import type { CallOptions, ConnectionOptions, OutgoingRequest, UpstreamAnswer, UpstreamConnection } from './upstream.ts'

/**
 * Opens a connection; a command is started at once, a URL is not yet asked. A server that failed again and again is not tried:
 * every call is refused with `system.upstream-down` then, and nothing was done.
 */
export function createConnection(config: UpstreamConfig, given: ConnectionOptions): UpstreamConnection {
  const options = { ...given, onProblem: limitProblems(given.onProblem) }
  if ((options.health?.waitMs() ?? 0) > 0) return createResting(options)
  const connection =
    config.url === undefined
      ? createStdioConnection(config, options)
      : createHttpConnection({ ...config, url: config.url }, options)
  const { answerMs } = options
  if (answerMs === undefined) return connection
  return { ...connection, call: async (request, own) => callInTime(connection, request, own, answerMs) }
}

/** The refusal of what was not begun, because the server is not there. */
export function toUpstreamDown(): RefusedError {
  return new RefusedError('system.upstream-down', REASONS['system.upstream-down'].help)
}

function createResting({ onProblem, health }: ConnectionOptions): UpstreamConnection {
  const seconds = Math.ceil((health?.waitMs() ?? 0) / 1000)
  onProblem('system.upstream-down', `the tool server keeps failing and is tried again in ${seconds} s`)
  return {
    call: () => Promise.reject(toUpstreamDown()),
    notify: () => Promise.resolve(),
    agree: () => undefined,
    isOpen: () => false,
    isReady: () => false,
    stderr: () => '',
    close: () => Promise.resolve(),
  }
}

/** Gives a call up that is not answered in time, as if it had been cancelled; what the server did is not undone. */
async function callInTime(
  connection: UpstreamConnection,
  request: OutgoingRequest,
  options: CallOptions,
  answerMs: number,
): Promise<UpstreamAnswer> {
  // A stream lasts for as long as somebody listens.
  if (request.method === 'subscriptions/listen') return connection.call(request, options)
  // Not `AbortSignal.timeout`, whose timer would outlive each of many short calls.
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), answerMs)
  try {
    return await connection.call(request, { ...options, signal: AbortSignal.any([options.signal, late.signal]) })
  } catch (fault) {
    if (!late.signal.aborted || options.signal.aborted) throw fault
    throw new UnavailableError('the tool server did not answer in time', { cause: fault })
  } finally {
    clearTimeout(timer)
  }
}

const PROBLEMS = 100
const WINDOW_MS = 60_000

/** A server that does wrong without end does not fill the operator's log: past so many in a minute it is told how many there were. */
function limitProblems(tell: ConnectionOptions['onProblem']): ConnectionOptions['onProblem'] {
  let [since, count] = [performance.now(), 0]
  return (reason: Reason, message: string): void => {
    const now = performance.now()
    if (now - since > WINDOW_MS) {
      if (count > PROBLEMS)
        tell('system.upstream', `${count - PROBLEMS} more problems with the tool server were not told`)
      since = now
      count = 0
    }
    count += 1
    if (count <= PROBLEMS) tell(reason, message)
  }
}
