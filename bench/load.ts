/**
 * @module
 * The load: closed loops over kept connections, each sending its next request when the answer to the last is complete.
 */
import { connect, type Socket } from 'node:net'

import { UnavailableError } from '../src/index.ts'
import { readAnswer, type HttpAnswer } from './wire.ts'

/** A request that is ready to be sent. */
export interface Shot {
  readonly seq: number
  readonly bytes: Buffer
}

export interface Fired {
  /** Milliseconds from the first byte written to the last byte read, one for each request. */
  readonly latencies: readonly number[]
  /** From the first request of the round to its last answer. */
  readonly seconds: number
  readonly answers: readonly { readonly seq: number; readonly answer: HttpAnswer }[]
}

/** Milliseconds without an answer after which a server counts as stuck. */
const PATIENCE = 20_000

/** Sends each lane over a connection of its own, all at once. Answers are kept as they are, to be looked at afterwards. */
export async function fire(port: number, lanes: readonly (readonly Shot[])[]): Promise<Fired> {
  const sockets = await Promise.all(lanes.map(async () => open(port)))
  const latencies: number[] = []
  const answers: { seq: number; answer: HttpAnswer }[] = []
  const run = async (socket: Socket, lane: readonly Shot[]): Promise<void> => {
    for (const { seq, bytes } of lane) {
      const sent = performance.now()
      const answer = await exchange(socket, bytes)
      latencies.push(performance.now() - sent)
      answers.push({ seq, answer })
    }
  }
  try {
    const started = performance.now()
    await Promise.all(sockets.map(async (socket, index) => run(socket, lanes[index] ?? [])))
    return { latencies, seconds: (performance.now() - started) / 1000, answers }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

async function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      socket.off('error', reject)
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

async function exchange(socket: Socket, bytes: Buffer): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    let received: Buffer | undefined
    const end = (): void => {
      socket.removeAllListeners()
      socket.setTimeout(0)
    }
    const fail = (): void => {
      end()
      reject(new UnavailableError('a server closed the connection or did not answer in time'))
    }
    socket.on('data', (chunk: Buffer) => {
      received = received === undefined ? chunk : Buffer.concat([received, chunk])
      const answer = readAnswer(received)
      if (answer === undefined) return
      end()
      resolve(answer)
    })
    socket.on('error', fail)
    socket.on('close', fail)
    socket.setTimeout(PATIENCE, fail)
    socket.write(bytes)
  })
}
