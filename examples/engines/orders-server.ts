/** The tools of the order desk, as an MCP server over stdio: `find` looks an order up, `refund` pays money back. */
import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { CallToolRequestSchema, ListToolsRequestSchema } from '@modelcontextprotocol/sdk/types.js'

const text = (description: string) => ({ type: 'string', description })
const order = text('number of the order')
const TOOLS = [
  {
    name: 'find',
    description: 'Looks up one order.',
    inputSchema: { type: 'object', properties: { order }, required: ['order'] },
  },
  {
    name: 'refund',
    description: 'Pays money back to the customer of an order.',
    inputSchema: {
      type: 'object',
      properties: { order, amount: { type: 'integer', description: 'in euro' }, to: text('address of the customer') },
      required: ['order', 'amount', 'to'],
    },
  },
]

const server = new Server({ name: 'orders', version: '1.0.0' }, { capabilities: { tools: {} } })
server.setRequestHandler(ListToolsRequestSchema, () => ({ tools: TOOLS }))
server.setRequestHandler(CallToolRequestSchema, ({ params: { name, arguments: given = {} } }) => {
  const said = name === 'find' ? `order ${given['order']}: 90 euro, ada@example.com` : `paid back ${given['amount']} euro`
  return { content: [{ type: 'text', text: said }] }
})
await server.connect(new StdioServerTransport())
