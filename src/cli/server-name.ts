/**
 * @module
 * What to call a server that nobody named: what distinguishes its command, without what all such commands have in common.
 */
import { basename } from 'node:path'

import { ConfigError } from '../core/errors.ts'

/** As in `upstreams[].name` of the configuration. */
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/
/** Programs that run another one, and the words before it that are not its name. */
const RUNNERS: readonly string[] =
  'npx npm pnpm pnpx yarn bunx bun deno node nodejs uvx uv python python3 pipx docker podman env sh bash cmd'.split(' ')
const VERBS: readonly string[] = 'exec run dlx x tool c'.split(' ')

/**
 * The name that was given, or one made from the command: `npx -y @modelcontextprotocol/server-filesystem@1 /tmp` is `filesystem`.
 * Throws `ConfigError` for a given name that cannot be one. Does not promise that two servers get two names.
 */
export function toServerName(given: string | undefined, command: readonly string[]): string {
  if (given !== undefined) {
    if (NAME.test(given)) return given
    throw new ConfigError(
      `\`${given}\` is not usable as the name of a server: lower case letters, digits, \`-\` and \`_\``,
    )
  }
  const [program = ''] = command
  const isRunner = RUNNERS.includes(toStem(program))
  const words = isRunner ? command.slice(1).filter((word) => !word.startsWith('-') && !VERBS.includes(word)) : [program]
  return toName(words[0] ?? program)
}

/** A name that a person gave it for themselves, as one that a configuration takes; else one from the command. */
export function toPlainName(free: string, command: readonly string[]): string {
  const plain = free
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/gu, '-')
    .replace(/^[^a-z0-9]+/u, '')
    .slice(0, 64)
  return plain === '' ? toServerName(undefined, command) : plain
}

function toName(word: string): string {
  const name = toStem(word.replace(/(?<=.)@[^/@]*$/u, ''))
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/gu, '-')
    .replace(/^(?:mcp[-_]server[-_]|server[-_]|mcp[-_])/u, '')
    .replace(/(?:[-_]mcp[-_]server|[-_]mcp|[-_]server)$/u, '')
    .replace(/^[^a-z0-9]+|[^a-z0-9]+$/gu, '')
    .slice(0, 64)
  return name === '' ? 'server' : name
}

/** `dist/index.js` says nothing; the folder that it is in says more. */
function toStem(path: string): string {
  const parts = path.split(/[\\/]/u).filter((part) => part !== '')
  const bare = basename(parts.at(-1) ?? '').replace(/\.(?:[cm]?[jt]s|py|exe|cmd|sh)$/u, '')
  const isBland = /^(?:index|main|server|mcp|mcp-server|cli|dist|build|src|bin|lib)$/u.test(bare)
  return isBland && parts.length > 1 ? toStem(parts.slice(0, -1).join('/')) : bare
}
