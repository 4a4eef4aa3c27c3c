// A server with everything that the scenarios of `@modelcontextprotocol/conformance` ask of one, of the era with sessions, over
// streamable HTTP on the official SDK. It ends streams in the middle and lets a client resume them.
import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'

import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import * as types from '@modelcontextprotocol/sdk/types.js'

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA='
const text = (given) => ({ type: 'text', text: given })
const image = { type: 'image', data: PNG, mimeType: 'image/png' }
const embedded = (uri, mimeType, given) => ({ type: 'resource', resource: { uri, mimeType, text: given } })
const string = { type: 'string' }

const DEFAULTS = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
}
const three = (values, titles) => values.map((each, at) => ({ const: each, title: titles[at] }))
const OPTIONS = ['option1', 'option2', 'option3']
const VALUES = ['value1', 'value2', 'value3']
const ENUMS = {
  untitledSingle: { type: 'string', enum: OPTIONS },
  titledSingle: { type: 'string', oneOf: three(VALUES, ['First Option', 'Second Option', 'Third Option']) },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: { type: 'array', items: { type: 'string', enum: OPTIONS } },
  titledMulti: { type: 'array', items: { anyOf: three(VALUES, ['First Choice', 'Second Choice', 'Third Choice']) } },
}

const SCHEMA_2020 = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: string, city: string } } },
  properties: {
    name: string,
    address: { $ref: '#/$defs/address' },
    contactMethod: { type: 'string', enum: ['phone', 'email'] },
    phone: string,
    email: string,
  },
  allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
  if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
  // As a literal the linter takes it for a promise.
  ...JSON.parse('{"then":{"required":["phone"]}}'),
  else: { required: ['email'] },
  additionalProperties: false,
}

const fixed = (...content) => ({ run: async () => ({ content }) })

async function elicit({ extra }, message, properties, words) {
  const requestedSchema = { type: 'object', properties, required: [] }
  const params = { mode: 'form', message, requestedSchema }
  const said = await extra.sendRequest({ method: 'elicitation/create', params }, types.ElicitResultSchema)
  return { content: [text(`${words}: action=${said.action}, content=${JSON.stringify(said.content ?? {})}`)] }
}

async function sample({ extra, given }) {
  const params = { messages: [{ role: 'user', content: text(given.prompt) }], maxTokens: 100 }
  const said = await extra.sendRequest({ method: 'sampling/createMessage', params }, types.CreateMessageResultSchema)
  return { content: [text(`LLM response: ${said.content.text}`)] }
}

async function log({ extra }) {
  for (const data of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
    await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data } })
    await wait(50)
  }
  return { content: [text('logged')] }
}

async function progress({ extra }) {
  const { progressToken } = extra['_meta'] ?? {}
  for (const done of [0, 50, 100]) {
    const params = { progressToken, progress: done, total: 100 }
    if (progressToken !== undefined) await extra.sendNotification({ method: 'notifications/progress', params })
    await wait(50)
  }
  return { content: [text('done')] }
}

async function endStream({ extra }) {
  extra.closeSSEStream?.()
  await wait(100)
  return { content: [text('answered after the stream was closed')] }
}

const TOOLS = {
  test_simple_text: fixed(text('This is a simple text response for testing.')),
  test_image_content: fixed(image),
  test_audio_content: fixed({ type: 'audio', data: WAV, mimeType: 'audio/wav' }),
  test_embedded_resource: fixed(
    embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.'),
  ),
  test_multiple_content_types: fixed(
    text('Multiple content types test:'),
    image,
    embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
  ),
  test_error_handling: {
    run: async () => ({ isError: true, content: [text('This tool intentionally returns an error for testing')] }),
  },
  test_tool_with_logging: { run: log },
  test_tool_with_progress: { run: progress },
  test_reconnection: { run: endStream },
  test_sampling: { properties: { prompt: string }, run: sample },
  test_elicitation: {
    properties: { message: string },
    run: (given) => elicit(given, given.given.message, { username: string, email: string }, 'User response'),
  },
  test_elicitation_sep1034_defaults: {
    run: (given) => elicit(given, 'Please look through the defaults', DEFAULTS, 'Elicitation completed'),
  },
  test_elicitation_sep1330_enums: {
    run: (given) => elicit(given, 'Please choose', ENUMS, 'Elicitation completed'),
  },
  json_schema_2020_12_tool: { inputSchema: SCHEMA_2020, ...fixed(text('done')) },
}

const RESOURCES = [
  {
    uri: 'test://static-text',
    name: 'static-text',
    description: 'A text',
    mimeType: 'text/plain',
    text: 'This is the content of the static text resource.',
  },
  { uri: 'test://static-binary', name: 'static-binary', description: 'An image', mimeType: 'image/png', blob: PNG },
  { uri: 'test://watched-resource', name: 'watched', description: 'Changes', mimeType: 'text/plain', text: 'watched' },
]

function read(uri) {
  const found = RESOURCES.find((each) => each.uri === uri)
  if (found !== undefined) {
    const { name: _name, description: _description, ...contents } = found
    return contents
  }
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1]
  if (id === undefined) throw new types.McpError(-32002, `there is no resource \`${uri}\``)
  const data = { id, templateTest: true, data: `Data for ID: ${id}` }
  return { uri, mimeType: 'application/json', text: JSON.stringify(data) }
}

const user = (...contents) => contents.map((content) => ({ role: 'user', content }))
const PROMPTS = {
  test_simple_prompt: { make: () => user(text('This is a simple prompt for testing.')) },
  test_prompt_with_arguments: {
    names: ['arg1', 'arg2'],
    make: ({ arg1, arg2 }) => user(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)),
  },
  test_prompt_with_embedded_resource: {
    names: ['resourceUri'],
    make: ({ resourceUri }) =>
      user(
        embedded(resourceUri, 'text/plain', 'Embedded resource content for testing.'),
        text('Please process the embedded resource above.'),
      ),
  },
  test_prompt_with_image: { make: () => user(image, text('Please analyze the image above.')) },
}

const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  prompts: { listChanged: true },
  logging: {},
  completions: {},
}

function createOffering() {
  const server = new Server({ name: 'conformance', version: '1.0.0' }, { capabilities: CAPABILITIES })
  const on = (schema, handle) => server.setRequestHandler(schema, handle)
  on(types.ListToolsRequestSchema, () => ({
    tools: Object.entries(TOOLS).map(([name, { properties = {}, inputSchema }]) => ({
      name,
      description: `Does ${name.replaceAll('_', ' ')}`,
      inputSchema: inputSchema ?? { type: 'object', properties, required: Object.keys(properties) },
    })),
  }))
  on(types.CallToolRequestSchema, ({ params }, extra) => {
    const tool = TOOLS[params.name]
    if (tool === undefined) throw new types.McpError(-32602, `there is no tool \`${params.name}\``)
    return tool.run({ extra, given: params.arguments ?? {} })
  })
  on(types.ListResourcesRequestSchema, () => ({
    resources: RESOURCES.map(({ text: _text, blob: _blob, ...listed }) => listed),
  }))
  on(types.ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [{ uriTemplate: 'test://template/{id}/data', name: 'data', description: 'Data by id' }],
  }))
  on(types.ReadResourceRequestSchema, ({ params }) => ({ contents: [read(params.uri)] }))
  on(types.SubscribeRequestSchema, () => ({}))
  on(types.UnsubscribeRequestSchema, () => ({}))
  on(types.SetLevelRequestSchema, () => ({}))
  on(types.CompleteRequestSchema, () => ({ completion: { values: ['paris', 'park'], total: 2, hasMore: false } }))
  on(types.ListPromptsRequestSchema, () => ({
    prompts: Object.entries(PROMPTS).map(([name, { names = [] }]) => ({
      name,
      description: `Is ${name.replaceAll('_', ' ')}`,
      arguments: names.map((each) => ({ name: each, description: each, required: true })),
    })),
  }))
  on(types.GetPromptRequestSchema, ({ params }) => {
    const prompt = PROMPTS[params.name]
    if (prompt === undefined) throw new types.McpError(-32602, `there is no prompt \`${params.name}\``)
    return { messages: prompt.make(params.arguments ?? {}) }
  })
  return server
}

function createEventStore() {
  const events = []
  return {
    async storeEvent(stream, message) {
      events.push({ stream, message })
      return `${events.length - 1}`
    },
    async getStreamIdForEventId(id) {
      return events[Number(id)]?.stream
    },
    async replayEventsAfter(lastEventId, { send }) {
      const { stream } = events[Number(lastEventId)] ?? {}
      for (const [at, each] of events.entries())
        if (at > Number(lastEventId) && each.stream === stream && each.message.jsonrpc !== undefined)
          await send(`${at}`, each.message)
      return stream
    },
  }
}

const LOCAL = new Set(['127.0.0.1', 'localhost', '[::1]'])

async function answer(transports, request, response) {
  const { host = '', origin = 'http://127.0.0.1', 'mcp-session-id': id } = request.headers
  if (![`http://${host}`, origin].every((url) => LOCAL.has(new URL(url).hostname))) {
    response.writeHead(403).end()
    return
  }
  const known = transports.get(id)
  if (known === undefined && id !== undefined) {
    response.writeHead(404).end()
    return
  }
  const transport = known ?? (await createTransport(transports))
  await transport.handleRequest(request, response)
}

async function createTransport(transports) {
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => void transports.set(id, transport),
    onsessionclosed: (id) => void transports.delete(id),
    eventStore: createEventStore(),
    retryInterval: 500,
  })
  await createOffering().connect(transport)
  return transport
}

/** Listens on the loopback. */
export async function startConformanceServer() {
  const transports = new Map()
  const server = createServer((request, response) => {
    answer(transports, request, response).catch(() => response.destroy())
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${server.address().port}/mcp`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}
