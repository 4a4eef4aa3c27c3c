/**
 * @module
 * Every Cedar example in the documents starts, and the default set is explained rule by rule.
 */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createCedarEngine } from '../../src/engines/cedar.ts'
import { defaultPolicyFolder, loadPolicyFolder } from '../../src/engines/policy-files.ts'

function read(path: string): string {
  return readFileSync(new URL(`../../docs/${path}`, import.meta.url), 'utf8')
}

const examples = ['guide/policies.md', 'reference/encoding.md'].flatMap((path) =>
  [...read(path).matchAll(/```cedar\n(.*?)```/gs)].map((match, at) => ({
    name: `${path} #${at + 1}`,
    text: match[1] ?? '',
  })),
)

describe('examples', () => {
  it('are found', () => expect(examples.length).toBe(5))

  it.each(examples)('$name starts beside the default set', async (example) => {
    const engine = await createCedarEngine({ policies: [...(await loadPolicyFolder(defaultPolicyFolder)), example] })
    await expect(engine.close()).resolves.toBeUndefined()
  })
})

it('the guide names every rule of the default set, and no other', async () => {
  const shipped = (await loadPolicyFolder(defaultPolicyFolder)).flatMap(({ text }) =>
    [...text.matchAll(/@id\("([^"]+)"\)/g)].map((match) => match[1]),
  )
  const explained = [...read('guide/policies.md').matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1])
  expect(explained).toEqual(shipped)
})
