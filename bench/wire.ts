/**
 * @module
 * HTTP/1.1 as bytes: requests made whole before a round begins, answers read with as little work as possible, so that the client
 * takes little of the two cores that it shares with the servers.
 */

/** The bytes of a POST. `headers` come as they are; `Host` and `Content-Length` are added. */
export function toRequestBytes(
  target: string,
  port: number,
  headers: Iterable<readonly [string, string]>,
  body: Uint8Array,
): Buffer {
  const lines = Array.from(headers, ([name, value]) => `${name}: ${value}\r\n`)
  const head = `POST ${target} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${lines.join('')}content-length: ${body.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), body])
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

const END = Buffer.from('\r\n\r\n')

/** The answer that `bytes` hold; undefined while it is not complete. Knows `Content-Length` and chunks, and no trailers. */
export function readAnswer(bytes: Buffer): HttpAnswer | undefined {
  const end = bytes.indexOf(END)
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end)
  const rest = bytes.subarray(end + END.length)
  const body = /\r\ntransfer-encoding: *chunked/i.test(head) ? readChunks(rest) : readSized(head, rest)
  return body === undefined ? undefined : { status: Number(head.slice(9, 12)), body: body.toString('utf8') }
}

function readSized(head: string, rest: Buffer): Buffer | undefined {
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? '0')
  return rest.length < length ? undefined : rest.subarray(0, length)
}

function readChunks(rest: Buffer): Buffer | undefined {
  const chunks: Buffer[] = []
  let at = 0
  for (;;) {
    const line = rest.indexOf('\r\n', at)
    if (line < 0) return undefined
    const size = Number.parseInt(rest.toString('latin1', at, line), 16)
    const next = line + 2 + size + 2
    if (Number.isNaN(size) || rest.length < next) return undefined
    if (size === 0) return Buffer.concat(chunks)
    chunks.push(rest.subarray(line + 2, line + 2 + size))
    at = next
  }
}
