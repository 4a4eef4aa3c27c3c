/**
 * @module
 * Tools that the model's provider runs itself never come by here: they are refused unless somebody has named them.
 */
import { ConfigError } from '../../index.ts'
import { member, toItems } from './loose.ts'

/** Blocks of a message that say that the provider ran something. */
const RAN_THERE =
  /^(server_tool|mcp_tool_use)|_tool_result$|^(web_search|file_search|code_interpreter|image_generation|computer|(local_)?shell|tool_search|mcp)_call|^(executable_?code|code_?execution_?result)$/i

/** Throws `ConfigError` for a declared tool that runs at the provider and is not named. */
export function assertNamed(tools: readonly unknown[], named: readonly string[]): void {
  for (const tool of tools) {
    if (isClientTool(tool)) continue
    const name = nameOf(tool)
    if (!named.includes(name)) throw new ConfigError(toMessage(name))
  }
}

/** Throws `ConfigError` when a message shows that the provider ran a tool that is not named. The action itself is done. */
export function assertRanNamed(message: unknown, named: readonly string[]): void {
  for (const given of [
    ...toItems(member(message, 'content')),
    ...toItems(member(member(message, 'additional_kwargs'), 'tool_outputs')),
  ]) {
    const block = member(given, 'type') === 'non_standard' ? member(given, 'value') : given
    const type = member(block, 'type')
    if (typeof type !== 'string' || !RAN_THERE.test(type)) continue
    const name = nameOf(block)
    if (!named.some((one) => name === one || type.startsWith(`${one}_`))) throw new ConfigError(toMessage(name))
  }
}

/** True for a tool that this process runs. */
export function isClientTool(tool: unknown): tool is { readonly name: string } {
  return typeof member(tool, 'invoke') === 'function' && typeof member(tool, 'name') === 'string'
}

function nameOf(tool: unknown): string {
  // Some providers declare a tool by its only key: `{ googleSearch: {} }`.
  const isPlain = typeof tool === 'object' && tool !== null && Object.getPrototypeOf(tool) === Object.prototype
  const keys = isPlain ? Object.keys(tool) : []
  const found = [member(tool, 'name'), member(tool, 'type'), keys[0]].find((name) => typeof name === 'string')
  return typeof found === 'string' ? found : 'unnamed'
}

function toMessage(name: string): string {
  return `\`${name.slice(0, 64)}\` runs at the model's provider, where nothing is decided; name it in \`providerTools\` to accept that`
}
