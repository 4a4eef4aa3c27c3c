import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ConfigError } from '../core/errors.ts'
import { defaultPolicyFolder, loadPolicyFolder } from './policy-files.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'unbearer-policies-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true })
})

it('refuses a folder that is not there, or has no policy file', async () => {
  await expect(loadPolicyFolder(join(dir, 'gone'))).rejects.toThrow(ConfigError)
  await writeFile(join(dir, 'readme.txt'), 'permit (principal, action, resource);')
  await expect(loadPolicyFolder(dir)).rejects.toThrow(/no `\*\.cedar` file/)
})

it('reads the policy files in the order of their names, and refuses what is not UTF-8', async () => {
  await writeFile(join(dir, 'b.cedar'), 'b')
  await writeFile(join(dir, 'a.cedar'), 'a')
  expect(await loadPolicyFolder(dir)).toEqual([
    { name: 'a.cedar', text: 'a' },
    { name: 'b.cedar', text: 'b' },
  ])
  await writeFile(join(dir, 'c.cedar'), Buffer.from([0xff]))
  await expect(loadPolicyFolder(dir)).rejects.toThrow(/not UTF-8/)
})

it('finds the policies of this package', async () => {
  expect((await loadPolicyFolder(defaultPolicyFolder)).length).toBe(3)
})
