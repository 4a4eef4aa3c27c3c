/**
 * @module
 * The published reference is made from the schema: run with `UPDATE_REFERENCE=1` to write it.
 */
import { readFileSync, writeFileSync } from 'node:fs'

import { describe, expect, it } from 'vitest'

import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'
import { toConfigSchema } from './schema.ts'

const SCHEMA = new URL('../../docs/reference/config.schema.json', import.meta.url)
const PAGE = new URL('../../docs/reference/config.md', import.meta.url)
const START = '<!-- keys: made from src/config/schema.ts -->'
const END = '<!-- end of keys -->'

interface Key {
  readonly path: string
  readonly schema: JsonObject
  readonly required: boolean
}

/** Every key of a schema, parents first, union members in place. */
function keysOf(schema: JsonObject, path = ''): readonly Key[] {
  const { properties, required, items, anyOf, additionalProperties } = schema
  const kinds: readonly Json[] = isJsonObject(items) && Array.isArray(items['oneOf']) ? items['oneOf'] : []
  const needed: readonly Json[] = Array.isArray(required) ? required : []
  const own = isJsonObject(properties) ? Object.entries(properties) : []
  const unions: readonly Json[] = Array.isArray(anyOf) ? anyOf : []
  return [
    ...own.flatMap(([name, member]) => {
      if (!isJsonObject(member)) return []
      const here = path === '' ? name : `${path}.${name}`
      return [{ path: here, schema: member, required: needed.includes(name) }, ...keysOf(member, here)]
    }),
    ...unions.flatMap((member) => (isJsonObject(member) ? keysOf(member, path) : [])),
    ...(isJsonObject(items) ? keysOf(items, `${path}[]`) : []),
    ...kinds.flatMap((member) => (isJsonObject(member) ? keysOf(member, `${path}[${kindOf(member)}]`) : [])),
    ...(isJsonObject(additionalProperties) ? keysOf(additionalProperties, `${path}.NAME`) : []),
  ]
}

/** The members of a list that are told apart by `kind`: `engine[opa].url`. */
function kindOf({ properties }: JsonObject): string {
  const kind = isJsonObject(properties) ? properties['kind'] : undefined
  return isJsonObject(kind) ? textOf(kind['const']) : ''
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '')

function toRow({ path, schema, required }: Key): string {
  const { default: fallback } = schema
  const [description, gains] = [textOf(schema['description']), textOf(schema['x-attacker-gains'])]
  const standing =
    fallback === undefined || (isJsonObject(fallback) && Object.keys(fallback).length === 0) ? undefined : fallback
  const shown =
    standing === undefined
      ? required
        ? 'required'
        : 'none'
      : `\`${typeof standing === 'string' ? standing : JSON.stringify(standing)}\``
  return `| \`${path}\` | ${shown} | ${description} | ${gains} |`
}

/** Groups say nothing by themselves, and both places of a secret are explained once, above the table. */
const isSaidElsewhere = ({ schema }: Key): boolean =>
  schema['x-attacker-gains'] === 'See its keys.' || schema['x-attacker-gains'] === 'As for the secret it names.'

const keys = keysOf(toConfigSchema())
const schemaText = `${JSON.stringify(toConfigSchema(), undefined, 2)}\n`
const table = [
  '| key | default | what it is | what an attacker gains who can choose it |',
  '|---|---|---|---|',
  ...keys.filter((key) => !isSaidElsewhere(key)).map(toRow),
].join('\n')

describe('the published reference of the configuration', () => {
  it('is the schema', () => {
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(SCHEMA, schemaText)
    expect(readFileSync(SCHEMA, 'utf8')).toBe(schemaText)
  })

  it('says of every key what it is and what an attacker gains', () => {
    const silent = keys.filter(
      ({ schema }) => textOf(schema['description']) === '' || textOf(schema['x-attacker-gains']) === '',
    )
    expect(silent.map(({ path }) => path)).toEqual([])
  })

  it('has a row for every key', () => {
    const page = readFileSync(PAGE, 'utf8')
    const [before, rest = ''] = page.split(START)
    const after = rest.split(END)[1] ?? ''
    const made = `${before}${START}\n\n${table}\n\n${END}${after}`
    if (process.env['UPDATE_REFERENCE'] === '1') writeFileSync(PAGE, made)
    expect(readFileSync(PAGE, 'utf8')).toBe(made)
  })
})
