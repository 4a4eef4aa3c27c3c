import { describe, expect, it } from 'vitest'

import type { Label, ToolManifest } from './manifest.ts'
import { createLabeller, toSegments } from './output-label.ts'

const BASE: Label = { trust: 'internal', confidentiality: 'confidential' }
const at = (fields: ToolManifest['output']['fields'], path: string, base: Label = BASE): Label =>
  createLabeller({ ...base, ...(fields === undefined ? {} : { fields }) }).label(toSegments(path))

describe('labels of an output', () => {
  it('are those of the manifest, the longest pattern first', () => {
    const fields = { note: { trust: 'attacker-writable' }, 'rows[].note': { trust: 'external' } } as const
    expect(at(fields, 'rows[].email')).toEqual(BASE)
    expect(at(fields, 'rows[].note').trust).toBe('external')
    expect(at(fields, 'other.note').trust).toBe('attacker-writable')
  })

  it('reach the bare array that a server gives for rows', () => {
    expect(at({ 'rows[].note': { trust: 'attacker-writable' } }, '[].note').trust).toBe('attacker-writable')
    expect(at({ 'rows[].*': { trust: 'attacker-writable' } }, 'rows[].anything').trust).toBe('attacker-writable')
  })

  it('rise only at the exact place, never at one that looks like it', () => {
    const base: Label = { trust: 'attacker-writable', confidentiality: 'public' }
    const fields = { 'customer.email': { trust: 'own' } } as const
    expect(at(fields, 'customer.email', base).trust).toBe('own')
    expect(at(fields, 'email', base).trust).toBe('attacker-writable')
    expect(at(fields, 'note.customer.email', base).trust).toBe('attacker-writable')
  })
})
