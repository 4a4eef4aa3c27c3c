// What the adapter adds to a tool call beside the bare framework, and what importing it costs, in one run:
// `node test/adapters/langchain/bench.mjs`. `scripted` answers at once: what remains is the adapter.
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { installFramework } from '../install-framework.ts'
import { loadFramework } from './framework.ts'

const ROUNDS = 400
const toUs = (ms) => Math.round(ms * 1000)
const native = await loadFramework()
if (native !== undefined) {
  const { langchain, messages, adapter, host, testing, z } = native
  const read = langchain.tool(async () => 'a record', {
    name: 'read_record',
    description: 'Reads a record.',
    schema: z.object({ id: z.string() }),
  })
  const task = host.createHostTask({
    pep: testing.createScriptedPep(),
    task: {
      txn: 'bench',
      principal: { type: 'user', id: 'alice' },
      actor: 'agent',
      openedBy: { role: 'host' },
      openedAt: 0,
      expires: Number.MAX_SAFE_INTEGER,
    },
    agent: { name: 'agent', jkt: 'agent' },
    claimCall: async () => true,
  })
  let count = 0
  const measure = async (tools, middleware) => {
    const times = []
    for (let round = 0; round < ROUNDS; round += 1) {
      const args = { id: 'r1', unbearer_intent: 'read: the user asked for record r1' }
      const model = native
        .fakeModel()
        .respondWithTools([{ id: `b${(count += 1)}`, name: 'read_record', args }])
        .respond(new messages.AIMessage('done'))
      const agent = langchain.createAgent({ model, tools, middleware })
      const input = { messages: [new messages.HumanMessage('go')] }
      const start = performance.now()
      await agent.invoke(input)
      times.push(performance.now() - start)
    }
    return times.toSorted((a, b) => a - b)[Math.floor(ROUNDS / 2)]
  }
  const pass = langchain.createMiddleware({ name: 'Pass', wrapToolCall: (request, handler) => handler(request) })
  const guarded = adapter.guardTools([read], { upstream: 'desk' })
  let figures = {}
  // The first pass warms everything up; its figures are thrown away.
  for (let round = 0; round < 2; round += 1) {
    const bare = await measure([read], [])
    const passed = await measure([read], [pass])
    const adapted = await measure(guarded, [adapter.enforceTools(task)])
    figures = { bare, passed, adapted }
  }
  const median = {
    bareInvokeUs: toUs(figures.bare),
    anyMiddlewareAddsUs: toUs(figures.passed - figures.bare),
    adapterAddsUs: toUs(figures.adapted - figures.bare),
  }
  const dir = await installFramework(import.meta.dirname)
  console.log(
    JSON.stringify({
      machine: cpus()[0]?.model,
      node: process.version,
      rounds: ROUNDS,
      median,
      import: measureImport(dir),
    }),
  )
}

/** In processes of their own: the framework's parts that we need, and what we add to a process that has them. */
function measureImport(dir) {
  const code = `
    import { registerHooks } from 'node:module'
    const parentURL = ${JSON.stringify(pathToFileURL(join(dir, 'package.json')).href)}
    const seen = new Set()
    registerHooks({ resolve: (specifier, context, next) => {
      const from = /^(@langchain\\/|langchain$)/.test(specifier) && !context.parentURL?.includes('/node_modules/') ? { ...context, parentURL } : context
      const found = next(specifier, from)
      if (found.url.startsWith('file:')) seen.add(found.url)
      return found
    } })
    await import('langchain'); await import('@langchain/langgraph')
    const before = seen.size
    const start = performance.now()
    await import(${JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../../dist/adapters/langchain/index.js')).href)})
    const ours = [...seen].filter((url) => url.includes('/dist/') && !url.includes('/node_modules/'))
    console.log(JSON.stringify({ addedMs: Math.round((performance.now() - start) * 10) / 10, modules: seen.size - before, ours: ours.length,
      foreign: ours.filter((url) => /\\/(stores|server|config|engines|pdp)\\/|adapters\\/(mcp|ai-sdk)/.test(url)).length }))`
  const runs = Array.from({ length: 5 }, () =>
    JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: dir, encoding: 'utf8' })),
  )
  return runs.toSorted((a, b) => a.addedMs - b.addedMs)[2]
}
