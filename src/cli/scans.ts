/**
 * @module
 * `unbearer tools scan|accept|diff`: what each tool does, drafted by a machine and accepted by a person.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { loadConfig, type Config, type Upstream } from '../config/load.ts'
import { revealOAuth } from '../config/upstream-oauth.ts'
import { createAuthorizer } from '../adapters/mcp/upstream-oauth.ts'
import { toDescriptor } from '../core/http-operation.ts'
import { ConfigError, UnavailableError } from '../core/errors.ts'
import { isJsonObject } from '../core/json.ts'
import { callingOptions, usageError, type Answer, type Call, type Command } from './command.ts'
import { callOnce, toAddress, withControl } from './control-client.ts'
import { toolsDiff, toolsScan, toolsSign, type ScanOptions } from './tools.ts'

type Source = ScanOptions['source']

const SOURCES = [
  { name: 'url', value: 'URL', about: 'a streamable HTTP server' },
  { name: 'tools', value: 'FILE.jsonl', about: 'tool descriptors that were written down, one a line' },
]

export const toolCommands: readonly Command[] = [
  {
    words: 'tools scan',
    usage: '[NAME] (-- COMMAND… | --url URL | --tools FILE.jsonl) [--out FILE]',
    summary: 'draft the manifest of a tool server',
    about: [
      'Lists the tools of a server over all pages and drafts what each does, which arguments decide what, and how far its',
      'output can be trusted. What could not be determined stands as the worst case. Calls no tool. A draft is not in force:',
      'read it, correct it, then `tools accept`. NAME is the upstream or audience; one of the configuration needs nothing else.',
    ].join('\n'),
    example: 'unbearer tools scan orders --out orders.draft.yaml',
    options: [...SOURCES, { name: 'out', value: 'FILE', about: 'where to write the draft (default: standard output)' }],
    operands: [0, 1],
    takesCommand: true,
    run: scan,
  },
  {
    words: 'tools accept',
    usage: 'FILE',
    summary: 'sign a manifest and put it in force',
    about: [
      'Signs the manifest as it stands with the key of an operator and puts it in force where the state is, at the running',
      'server or in the folder of manifests. Each tool is pinned to the descriptor that was scanned: a tool that changes later is refused.',
    ].join('\n'),
    example: 'unbearer tools accept orders.draft.yaml',
    options: callingOptions('keys/operator.jwk'),
    operands: [1, 1],
    run: accept,
  },
  {
    words: 'tools diff',
    usage: 'FILE [-- COMMAND… | --url URL | --tools FILE.jsonl]',
    summary: 'compare a manifest with the server or with what is in force',
    about:
      'Without a server of tools, compares with the accepted manifest. Exit code 1 when anything was added, removed or changed.',
    example: 'unbearer tools diff ./manifests/orders.yaml --url http://127.0.0.1:9000/mcp',
    options: [...SOURCES, ...callingOptions('keys/operator.jwk')],
    operands: [1, 1],
    takesCommand: true,
    run: diff,
  },
]

async function scan(call: Call): Promise<Answer> {
  const [name] = call.operands
  const out = call.text('out')
  const source = (await readSource(call)) ?? (await configured(call, name))
  const result = await toolsScan({ source, server: name ?? 'server', ...(out === undefined ? {} : { out }) })
  return { exit: result.exitCode, json: result.json, text: result.text }
}

async function accept(call: Call): Promise<Answer> {
  return withControl(await toAddress(call, 'operator'), async (client) => {
    const { yaml, json } = await toolsSign({ file: call.operand(0), key: client.key, now: Date.now() })
    await client.call('manifest.accept', { text: yaml })
    const text = `accepted ${json.tools.length} tools of \`${json.server}\`, in force now`
    return { exit: 0, json, text }
  })
}

async function diff(call: Call): Promise<Answer> {
  const source = await readSource(call)
  const against = source === undefined ? { accepted: await readAccepted(call) } : { source }
  const result = await toolsDiff({ file: call.operand(0), against })
  return { exit: result.exitCode, json: result.json, text: result.text }
}

/** What is in force: asked of the server where one is named, otherwise in the folder beside the configuration. */
async function readAccepted(call: Call): Promise<string> {
  const { parseManifest } = await import('../config/manifest.ts')
  const { server } = parseManifest(await readText(call.operand(0)))
  if (call.text('server') === undefined)
    return readText(join((await loadConfig(call.config)).manifests, `${server}.yaml`))
  const shown = await callOnce(await toAddress(call, 'operator'), 'manifest.show', { server })
  const text = isJsonObject(shown) ? shown['text'] : undefined
  if (typeof text !== 'string') throw new UnavailableError('the answer to `manifest.show` has no `text`')
  return text
}

/** The server that the command names by itself; undefined when it names none. */
async function readSource(call: Call): Promise<Source | undefined> {
  const [url, tools] = [call.text('url'), call.text('tools')]
  const command = call.rest.length > 0 ? call.rest : undefined
  if ([url, tools, command].filter((given) => given !== undefined).length > 1) {
    throw usageError('give one of `-- COMMAND`, `--url` and `--tools`')
  }
  if (tools !== undefined) return { jsonl: await readText(tools) }
  if (url !== undefined) return { upstream: { url } }
  return command === undefined ? undefined : { upstream: { command, cwd: process.cwd() } }
}

/** An upstream of the configuration, with its secrets, or the operations of an audience. */
async function configured(call: Call, name: string | undefined): Promise<Source> {
  if (name === undefined)
    throw usageError(
      'say which server: an upstream or audience of the configuration, `-- COMMAND`, `--url` or `--tools`',
    )
  const config = await loadConfig(call.config)
  const audience = config.audiences.find((known) => known.name === name)
  if (audience !== undefined)
    return { jsonl: audience.operations.map((operation) => JSON.stringify(toDescriptor(operation))).join('\n') }
  const upstream = config.upstreams.find((known) => known.name === name)
  if (upstream === undefined) {
    const names = [...config.upstreams, ...config.audiences].map((known) => `\`${known.name}\``).join(', ')
    const there = names === '' ? 'it has none' : `it has ${names}`
    throw new ConfigError(`there is no upstream or audience \`${name}\` in the configuration, ${there}`)
  }
  return { upstream: toSource(config, upstream) }
}

function toSource(
  config: Config,
  { command, url, secrets, oauth }: Upstream,
): Extract<Source, { upstream: unknown }>['upstream'] {
  const revealed = Object.fromEntries(Object.entries(secrets).map(([key, secret]) => [key, secret.reveal()]))
  return {
    ...(command === undefined ? {} : { command, cwd: config.dir, env: revealed }),
    ...(url === undefined ? {} : { url, headers: revealed }),
    ...(oauth === undefined ? {} : { authorizer: createAuthorizer(revealOAuth(oauth), { now: () => Date.now() }) }),
  }
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`\`${path}\` cannot be read`, { cause })
  }
}
