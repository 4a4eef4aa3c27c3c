/**
 * @module
 * What the documents say has to work: TypeScript compiles, commands and their options exist, configurations and grants parse,
 * links lead somewhere.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

import { afterAll, describe, expect, it } from 'vitest'

import { COMMANDS } from '../../src/cli/commands.ts'
import { findCommand, parseCall } from '../../src/cli/parse.ts'
import { parseConfig } from '../../src/config/load.ts'
import { parseStrictYaml } from '../../src/config/strict-yaml.ts'
import { parseGrant, parseJson } from '../../src/index.ts'

const PAGES = globSync(['*.md', 'docs/**/*.md'])
/** Pages about a framework that is not installed here are compiled by the test of that adapter, which names them. */
const ADAPTER_TESTS = globSync('test/adapters/**/*.test.ts').map((file) => readFileSync(file, 'utf8'))
const isCompiledElsewhere = (page: string): boolean => ADAPTER_TESTS.some((text) => text.includes(basename(page)))
const WORK = join('node_modules', '.cache', 'unbearer', 'docs')

interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly text: string
}

function blocksOf(page: string): readonly Block[] {
  const source = readFileSync(page, 'utf8')
  return [...source.matchAll(/^```([a-z]+)\n(.*?)^```$/gms)].map((match) => ({
    page,
    line: source.slice(0, match.index).split('\n').length,
    language: match[1] ?? '',
    text: match[2] ?? '',
  }))
}

const blocks = PAGES.flatMap(blocksOf)
const named = (block: Block): readonly [string, Block] => [`${block.page}:${block.line}`, block]
const written = (...languages: readonly string[]): readonly (readonly [string, Block])[] =>
  blocks.filter(({ language }) => languages.includes(language)).map(named)

/** Commands of a shell block, with continued lines joined, as words; variables and quotes as a shell would leave them. */
function commandsOf({ text }: Block): readonly (readonly string[])[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/ +#.*$/, '').replace(/ +\d?[&<>|].*$/, ''))
    .filter((line) => /^(npx )?unbearer /.test(line))
    .map((line) => [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((word) => word[1] ?? word[2] ?? word[3] ?? ''))
    .map((words) => words.slice(words[0] === 'npx' ? 2 : 1))
}

function problemsOf(words: readonly string[]): readonly string[] {
  const found = findCommand(COMMANDS, words)
  if (found === undefined) return [`there is no \`${words.join(' ')}\``]
  try {
    parseCall(found)
    return []
  } catch (cause) {
    return [`\`${words.join(' ')}\`: ${cause instanceof Error ? cause.message : ''}`]
  }
}

function toGrant(text: string): unknown {
  const value = parseJson(JSON.stringify(parseStrictYaml(text)))
  return parseGrant(value, { id: 'g', now: 0, resolveActor: () => 'jkt', issuedBy: { role: 'operator', jkt: 'jkt' } })
}

afterAll(() => rmSync(WORK, { recursive: true, force: true }))

describe('the documents', () => {
  it('are found, with blocks of every kind', () => {
    expect(PAGES).toContain('README.md')
    for (const language of ['ts', 'sh', 'yaml']) expect(blocks.some((block) => block.language === language)).toBe(true)
  })

  it('hold TypeScript that compiles', () => {
    mkdirSync(WORK, { recursive: true })
    const files = blocks.filter(({ language, page }) => language === 'ts' && !isCompiledElsewhere(page))
    expect(files.length).toBeGreaterThan(0)
    for (const [index, { page, line, text }] of files.entries())
      writeFileSync(join(WORK, `block-${index}.ts`), `// ${page}:${line}\n${text}\nexport {}\n`)
    const up = '../../../../'
    const paths = Object.fromEntries(
      ['unbearer/client', 'unbearer/http', 'unbearer/testing', 'unbearer/adapters'].map((name) => [
        name,
        [`${up}src/${name.slice(9)}/index.ts`],
      ]),
    )
    const compilerOptions = { types: ['node'], paths: { ...paths, unbearer: [`${up}src/index.ts`] } }
    const project = {
      extends: `${up}tsconfig.json`,
      compilerOptions,
      include: ['*.ts', `${up}src/**/*.d.ts`],
      exclude: [],
    }
    writeFileSync(join(WORK, 'tsconfig.json'), JSON.stringify(project))
    const tsc = join('node_modules', '.bin', 'tsc')
    const { stdout, status } = spawnSync(tsc, ['-p', WORK], { encoding: 'utf8', shell: process.platform === 'win32' })
    expect([stdout, status]).toEqual(['', 0])
  })

  it.each(written('sh', 'bash'))('name commands and options that exist: %s', (_name, block) => {
    expect(commandsOf(block).flatMap(problemsOf)).toEqual([])
  })

  it.each(PAGES)('name commands that exist in their text too: %s', (page) => {
    const source = readFileSync(page, 'utf8').replace(/^```.*?^```$/gms, '')
    const spoken = [...source.matchAll(/`(?:npx )?unbearer ([a-z][^`]*)`/g)].map((match) =>
      (match[1] ?? '').split(/\s+/),
    )
    expect(spoken.filter((words) => findCommand(COMMANDS, words) === undefined)).toEqual([])
  })

  it.each(written('yaml').filter(([, { text }]) => /^principal:/m.test(text)))(
    'hold grants that parse: %s',
    (_name, block) => {
      expect(() => toGrant(block.text)).not.toThrow()
    },
  )

  it.each(written('yaml').filter(([, { text }]) => /^(upstreams|engine|mode|audiences|trust):/m.test(text)))(
    'hold configurations that parse: %s',
    (_name, { text }) => {
      const whole = /^issuer:/m.test(text) ? text : `issuer: https://unbearer.example\ndeployment: same-user\n${text}`
      expect(() => parseConfig(whole, { dir: '/' })).not.toThrow()
    },
  )

  it.each(PAGES)('link to what is there: %s', (page) => {
    const source = readFileSync(page, 'utf8').replace(/^```.*?^```$/gms, '')
    const links = [...source.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '')
    const broken = links.filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(dirname(page), link)))
    expect(broken).toEqual([])
  })

  it.each(PAGES)('name files of the repository that are there: %s', (page) => {
    const source = readFileSync(page, 'utf8')
    const files = [...source.matchAll(/`((?:src|test|bench|scripts|policies|docs)\/[\w./-]+)`/g)].map(
      (match) => match[1] ?? '',
    )
    expect(files.filter((file) => !existsSync(file))).toEqual([])
  })
})
