import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'

import type { CredentialGuard } from 'unbearer/http'

import { noteOrder, readOrder } from './orders.ts'

export function createApi(guard: CredentialGuard): Server {
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, , id = '', notes] = (request.url ?? '').split('/')
    if (notes === undefined) return void response.end(JSON.stringify(readOrder(id)))
    const { text } = (await json(request)) as { text: string }
    response.end(JSON.stringify(noteOrder(id, text, guard.of(request)?.claims.sub)))
  }
  return createServer(guard.node(handle)) // guard.node(…) was added
}
