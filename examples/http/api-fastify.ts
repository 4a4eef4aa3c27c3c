import type { Server } from 'node:http'

import fastify from 'fastify'
import type { CredentialGuard } from 'unbearer/http'

import { noteOrder, readOrder } from './orders.ts'

export async function createApi(guard: CredentialGuard): Promise<Server> {
  const app = fastify()
  app.addHook('preParsing', guard.fastify) // added
  app.get<{ Params: { id: string } }>('/orders/:id', (request) => readOrder(request.params.id))
  app.post<{ Params: { id: string }; Body: { text: string } }>('/orders/:id/notes', (request) =>
    noteOrder(request.params.id, request.body.text, guard.of(request)?.claims.sub),
  )
  await app.ready()
  return app.server
}
