import type { Server } from 'node:http'

import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import type { CredentialGuard } from 'unbearer/http'

import { noteOrder, readOrder } from './orders.ts'

export function createApi(guard: CredentialGuard): Server {
  const app = new Hono()
  app.use('/orders/*', guard.hono) // added
  app.get('/orders/:id', (c) => c.json(readOrder(c.req.param('id'))))
  app.post('/orders/:id/notes', async (c) => {
    const { text } = await c.req.json<{ text: string }>()
    return c.json(noteOrder(c.req.param('id'), text, guard.of(c)?.claims.sub))
  })
  return createAdaptorServer(app) as Server
}
