/**
 * @module
 * `unbearer connect`: a local bridge that signs, for any MCP client in any language.
 */
import { ConfigError } from '../core/errors.ts'
import { readKeyFile } from '../crypto/keys.ts'
import { waitForSignal } from './signals.ts'
import { trustOnly } from './trust.ts'
import { CA_OPTION, usageError, type Answer, type Call, type Command } from './command.ts'

export const connectCommand: Command = {
  words: 'connect',
  usage: 'URL --key FILE.jwk [--task TXN] (--stdio | --listen ADDRESS:PORT)',
  summary: 'local bridge that signs for any MCP client',
  about: [
    'Takes plain MCP from a client that knows nothing of Unbearer and sends it to URL, each request signed with the key of',
    'the agent. `--stdio` is for clients that start a command, `--listen` for those that take a URL (loopback only).',
    'Whoever can speak to the bridge acts as this agent: it guards the way to the gateway, not this machine.',
  ].join('\n'),
  example: 'unbearer connect http://127.0.0.1:8700/mcp/orders --key ./keys/support-agent.jwk --stdio',
  options: [
    { name: 'key', value: 'FILE.jwk', about: 'the private key of the agent' },
    CA_OPTION,
    { name: 'task', value: 'TXN', about: 'the task to act in (default: one of its own, without a purpose)' },
    { name: 'stdio', about: 'speak MCP over standard input and output' },
    { name: 'listen', value: 'ADDRESS:PORT', about: 'speak MCP over streamable HTTP on this address' },
  ],
  operands: [1, 1],
  run: connect,
}

async function connect(call: Call): Promise<Answer> {
  const url = call.operand(0)
  if (!URL.canParse(url)) throw usageError(`\`${url}\` is not a URL`)
  const [stdio, listen, txn] = [call.flag('stdio'), call.text('listen'), call.text('task')]
  if (stdio === (listen !== undefined)) throw usageError('give either `--stdio` or `--listen`')
  const ca = call.text('ca')
  if (ca !== undefined) trustOnly(ca)
  const key = await readKeyFile(call.need('key'))
  if (key.privateKey === undefined) throw new ConfigError('the key is public, the private key of the agent is needed')
  const { createSigningFetch, runListenBridge, runStdioBridge } = await import('../client/index.ts')
  const fetch = createSigningFetch({ key, url, ...(txn === undefined ? {} : { txn }) })
  if (listen === undefined) {
    await runStdioBridge({ url, fetch, input: process.stdin, output: process.stdout })
    return { exit: 0 }
  }
  const bridge = await runListenBridge({ url, fetch, listen })
  process.stdout.write(
    call.json ? `${JSON.stringify({ url: bridge.url.href })}\n` : `connect your MCP client to ${bridge.url.href}\n`,
  )
  await waitForSignal()
  await bridge.close()
  return { exit: 0 }
}
