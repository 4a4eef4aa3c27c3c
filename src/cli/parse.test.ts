import { readFileSync, writeFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import type { Call } from './command.ts'
import { COMMANDS } from './commands.ts'
import { toPage } from './help.ts'
import { asksForHelp, asksForJson, findCommand, parseCall } from './parse.ts'

const PAGE = new URL('../../docs/reference/cli.md', import.meta.url)
const START = '<!-- commands: made from src/cli -->'
const ID = '-Vu8UQzYg3d0lE5y2R-_XA'

function parse(...args: readonly string[]): Call {
  const found = findCommand(COMMANDS, args)
  if (found === undefined) throw new Error('no such command')
  return parseCall(found)
}

describe('the command line', () => {
  it('takes an id that starts with a dash for an id', () => {
    expect(parse('approvals', 'show', ID).operands).toEqual([ID])
    expect(parse('approvals', 'show', '--', ID).operands).toEqual([ID])
    expect(parse('approvals', 'show', ID, '--json')).toMatchObject({ operands: [ID], json: true })
    expect(parse('connect', 'http://127.0.0.1/', '--key', 'k', '--task', ID, '--stdio').text('task')).toBe(ID)
    expect(parse('task', 'open', '--grant', ID, '--purpose', 'p').text('grant')).toBe(ID)
  })

  it('leaves what follows -- to the command that takes it', () => {
    const call = parse('tools', 'scan', 'orders', '--json', '--', 'npx', '--yes', '--json', '--help')
    expect(call).toMatchObject({ operands: ['orders'], rest: ['npx', '--yes', '--json', '--help'], json: true })
    expect(asksForHelp(['--', '--help'])).toBe(false)
    expect(asksForJson(['a', '--', '--json'])).toBe(false)
  })

  it.each([
    [['grant', 'list', '--nope'], 'unknown option `--nope`'],
    [['grant', 'list', '--jsn'], 'did you mean `--json`'],
    [['grant', 'list', '-x'], 'unknown option'],
    [['grant', 'list', '--key'], 'argument missing'],
    [['grant', 'list', '--json=yes'], 'does not take an argument'],
    [['grant', 'list', 'more'], 'too many arguments'],
    [['grant', 'show'], 'something is missing'],
    [['why', ''], 'an argument is empty'],
    [['serve', '--', 'x'], 'too many arguments'],
  ])('refuses %j', (args, message) => {
    expect(() => parse(...args)).toThrow(message)
  })

  it('has help worth reading for every command', () => {
    for (const command of COMMANDS) {
      expect(command.about.length).toBeGreaterThan(40)
      expect(command.example).toContain(`unbearer ${command.words}`)
      const found = findCommand(COMMANDS, command.words.split(' '))
      expect(found?.command).toBe(command)
    }
  })

  it('lets every command that asks a server do it from another machine, with a key that is sealed', () => {
    const asking = COMMANDS.filter(({ options }) => options.some(({ name }) => name === 'server'))
    expect(asking.length).toBeGreaterThan(20)
    for (const { words, options } of asking) {
      const names = options.map(({ name }) => name)
      expect([words, names.includes('ca'), names.some((name) => name.endsWith('passphrase-fd'))]).toEqual([
        words,
        true,
        true,
      ])
    }
  })

  it('takes every command of the guide', () => {
    const guide = readFileSync(new URL('../../docs/guide/start.md', import.meta.url), 'utf8')
    const lines = [...guide.matchAll(/^npx unbearer (.+)$/gm)].map(([, line = '']) => line)
    expect(lines.length).toBeGreaterThan(10)
    for (const line of lines) {
      const args = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain = '']) => quoted ?? plain)
      expect(() => parse(...args)).not.toThrow()
    }
  })

  it('is published as it is', () => {
    const [before = ''] = readFileSync(PAGE, 'utf8').split(START)
    const pages = COMMANDS.map((command) => `## unbearer ${command.words}\n\n\`\`\`text\n${toPage(command)}\n\`\`\`\n`)
    const made = `${before}${START}\n\n${pages.join('\n')}`
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(PAGE, made)
    expect(readFileSync(PAGE, 'utf8')).toBe(made)
  })
})
