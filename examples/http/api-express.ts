import { createServer, type Server } from 'node:http'

import express from 'express'
import type { CredentialGuard } from 'unbearer/http'

import { noteOrder, readOrder } from './orders.ts'

export function createApi(guard: CredentialGuard): Server {
  const app = express()
  app.use('/orders', guard.express) // added, before everything that reads bodies
  app.use(express.json())
  app.get('/orders/:id', (request, response) => void response.json(readOrder(request.params.id)))
  app.post('/orders/:id/notes', (request, response) => {
    response.json(noteOrder(request.params.id, request.body.text, guard.of(request)?.claims.sub))
  })
  return createServer(app)
}
