import { describe, expect, it } from 'vitest'

import type { Json, JsonObject } from '../../index.ts'
import { takeRetry, toQuestions } from './asked.ts'
import { isAnswer, judgeAsk } from './asks.ts'
import { createRequestStates } from './request-state.ts'

const form = (message: string, properties: JsonObject = { name: { type: 'string' } }): Json => ({
  mode: 'form',
  message,
  requestedSchema: { type: 'object', properties },
})

describe('what a server asks of a person', () => {
  it('is shown where it asks for nothing secret', () => {
    for (const message of [
      'Which branch?',
      'Confirm the deployment of 3 files',
      'Passen die Maße?',
      'Compass heading?',
    ])
      expect(judgeAsk('elicitation/create', form(message)).ok).toBe(true)
  })

  const secrets = [
    'Your password, please',
    'pass\u00adword',
    'PASS-WORD',
    'ｐａｓｓｗｏｒｄ',
    'p a s s w o r d',
    'Paste your API key',
    'the apiKey of the project',
    'your access_token',
    'One-time code',
    'your seed phrase',
    'card number and CVV',
    'Bitte das Passwort',
    'session cookie',
  ]
  it.each(secrets)('is refused as a credential: %s', (message) => {
    expect(judgeAsk('elicitation/create', form(message)).ok).toBe(false)
    const hidden = form('Go on?', { a: { type: 'string', title: message } })
    expect(judgeAsk('elicitation/create', hidden).ok).toBe(false)
    expect(judgeAsk('elicitation/create', form('Go on?', { [message]: { type: 'string' } })).ok).toBe(false)
  })

  const links = [
    'javascript:alert(1)',
    'http://bank.example/',
    'https://bank.example@phish.example/',
    'file:///etc/passwd',
    'not a link',
    'data:text/html,x',
  ]
  it.each(links)('is refused as a link that hides where it goes: %s', (url) => {
    expect(judgeAsk('elicitation/create', { mode: 'url', message: 'x', url }).ok).toBe(false)
  })

  it('shows a link in letters that cannot be mistaken', () => {
    const asked = judgeAsk('elicitation/create', { mode: 'url', message: 'x', url: 'https://аpple.example/a' })
    expect(JSON.stringify(asked)).toContain('This link leads to https://xn--pple-43d.example. x')
  })

  it.each(['sampling/createMessage', 'roots/list', 'Elicitation/create', 'x', null])('is never %s', (method) => {
    expect(judgeAsk(method, form('x')).ok).toBe(false)
  })

  it('is refused where it cannot be read, and not at all where the client cannot ask anybody', () => {
    const states = createRequestStates({ now: () => 0 })
    const ask = (output: JsonObject, params: JsonObject = {}): boolean => toQuestions(output, params, states, 'a').ok
    const able = { _meta: { 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } } }
    const one = { a: { method: 'elicitation/create', params: form('Which?') } }
    expect(ask({ inputRequests: one }, able)).toBe(true)
    expect(ask({ inputRequests: one })).toBe(false)
    expect(ask({ inputRequests: [] }, able)).toBe(false)
    expect(ask({ inputRequests: { ...one, b: { method: 'roots/list' } } }, able)).toBe(false)
    expect(ask({ inputRequests: { ...one, b: 'x' } }, able)).toBe(false)
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, one.a]))
    expect(ask({ inputRequests: many }, able)).toBe(false)
  })
})

describe('what comes back', () => {
  it('has only fields that were asked for', () => {
    expect(isAnswer({ action: 'accept', content: { name: 'x' } }, ['name'])).toBe(true)
    expect(isAnswer({ action: 'cancel' }, ['name'])).toBe(true)
    for (const value of [
      { action: 'accept', content: { other: 1 } },
      { action: 'decline', content: { name: 'x' } },
      {},
      null,
    ])
      expect(isAnswer(value, ['name'])).toBe(false)
  })

  it('counts for an hour, for what it is about', () => {
    let now = 0
    const states = createRequestStates({ now: () => now })
    const requestState = states.seal('a', { asked: { k: ['name'] }, state: 's' })
    const params = { requestState, inputResponses: { k: { action: 'cancel' } } }
    expect(takeRetry(params, states, 'a')).toMatchObject({ state: 's', answers: { k: { action: 'cancel' } } })
    expect(takeRetry(params, states, 'b')).toBe('malformed')
    now = 60 * 60_000
    expect(takeRetry(params, states, 'a')).toBe('malformed')
    expect(takeRetry({}, states, 'a')).toBeUndefined()
  })
})
