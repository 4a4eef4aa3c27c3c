/**
 * @module
 * `unbearer mcp -- COMMAND…`: a stdio server, wrapped for any client that starts one. Standard input and output belong to MCP.
 */
import type { Mode } from '../core/request.ts'
import { toDisplayText } from '../server/display.ts'
import { printNotice, usageError, type Answer, type Call, type Command } from './command.ts'
import { createLog, LOG_OPTION, readLogForm } from './log-lines.ts'
import { toServerName } from './server-name.ts'
import { version } from './version.ts'

export const mcpCommand: Command = {
  words: 'mcp',
  usage: '[--name NAME] [--mode observe|enforce] [--config FILE] -- COMMAND…',
  summary: 'wrap a stdio MCP server for any client',
  about: [
    'Starts COMMAND, a stdio MCP server, and stands between it and the client that started this command. Put it before the',
    'command in the settings of the client, or have `unbearer init mcp` do that.',
    'The first time it makes what it needs in the folder of the user ($XDG_STATE_HOME/unbearer/NAME, else ~/.local/state): keys,',
    'a log, policies, and a manifest of the tools as they are then. From then on each session is compared with it: a tool that is',
    'new or has changed is refused until you accept it (`unbearer tools diff`). Reads of the other tools pass; anything else waits',
    'for you: `unbearer approvals`. `unbearer why ID` explains a refusal.',
    'Standard error says what is guarded. The proof is `process`: the path through this command is guarded, not the machine. An',
    'agent that can run commands as you can start the server without it, and answer for you.',
  ].join('\n'),
  example: 'unbearer mcp -- npx -y @modelcontextprotocol/server-filesystem ~/projects',
  options: [
    { name: 'name', value: 'NAME', about: 'what to call the server (default: from the command)' },
    { name: 'mode', value: 'MODE', about: '`enforce` (default), or `observe`: decide and record, block little' },
    LOG_OPTION,
  ],
  operands: [0, 0],
  takesCommand: true,
  run: wrap,
}

async function wrap(call: Call): Promise<Answer> {
  if (call.rest.length === 0) throw usageError('say what to wrap: `unbearer mcp -- COMMAND…`')
  const name = toServerName(call.text('name'), call.rest)
  const mode = readMode(call)
  const log = createLog(readLogForm(call), (line) => process.stderr.write(`${line}\n`))
  const { openWrapped } = await import('./wrapped.ts')
  const wrapped = await openWrapped({
    name,
    command: call.rest,
    ...(mode === undefined ? {} : { mode }),
    ...(call.text('config') === undefined ? {} : { config: call.config }),
    version,
    report: log.report,
    notice: printNotice,
  })
  for (const line of wrapped.says) process.stderr.write(`unbearer: ${toDisplayText(line)}\n`)
  const { runStdioBridge } = await import('../client/index.ts')
  const { waitForSignal } = await import('./signals.ts')
  const bridge = runStdioBridge({
    url: wrapped.url,
    fetch: wrapped.fetch,
    input: process.stdin,
    output: process.stdout,
  })
  await Promise.race([bridge, waitForSignal()])
  await wrapped.close()
  process.stdin.destroy()
  return { exit: 0 }
}

function readMode(call: Call): Mode | undefined {
  const given = call.text('mode')
  if (given === undefined || given === 'observe' || given === 'enforce') return given
  throw usageError('`--mode` is `observe` or `enforce`')
}
