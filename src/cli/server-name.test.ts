import { describe, expect, it } from 'vitest'

import { toPlainName, toServerName } from './server-name.ts'

describe('the name of a server', () => {
  it.each([
    ['npx -y @modelcontextprotocol/server-filesystem@2026.8.31 /tmp', 'filesystem'],
    ['npx @playwright/mcp@latest --headless', 'playwright'],
    ['uvx mcp-server-git --repository x', 'git'],
    ['/usr/bin/python3 -m mcp_server_fetch', 'fetch'],
    ['docker run -i --rm mcp/github', 'github'],
    ['node /home/me/notes/dist/index.js', 'notes'],
    ['/opt/bin/github-mcp-server stdio', 'github'],
    ['C:\\tools\\weather.exe', 'weather'],
    ['npx -y some.tool', 'some-tool'],
    ['node', 'node'],
    ['./…', 'server'],
  ])('of `%s` is `%s`', (command, name) => {
    expect(toServerName(undefined, command.split(' '))).toBe(name)
  })

  it('is what was given, where it can be one', () => {
    expect(toServerName('my_notes-2', ['x'])).toBe('my_notes-2')
    for (const given of ['', 'A', 'a.b', '../x', '-a', 'a b'])
      expect(() => toServerName(given, ['x'])).toThrow('not usable')
    expect(toPlainName('My Notes (work)', ['x'])).toBe('my-notes-work-')
    expect(toPlainName('日本', ['npx', 'notes-server'])).toBe('notes')
  })
})
