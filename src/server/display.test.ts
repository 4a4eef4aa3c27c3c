import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { toDisplay, toDisplayText } from './display.ts'

describe('display of untrusted data', () => {
  it.each([
    ['\u001b[2J\u001b[31mapproved', String.raw`\u{001b}[2J\u{001b}[31mapproved`],
    ['a\nb\tc\rd\0', String.raw`a\nb\tc\u{000d}d\u{0000}`],
    ['pay \u202eecila\u202c', String.raw`pay \u{202e}ecila\u{202c}`],
    ['\u2066x\u2069\u200e\u200f\u061c', String.raw`\u{2066}x\u{2069}\u{200e}\u{200f}\u{061c}`],
    ['zero\u200bwidth\ufeff', String.raw`zero\u{200b}width\u{feff}`],
    ['tag\u{e0041}', String.raw`tag\u{e0041}`],
    ['line\u2028sep\u0085', String.raw`line\u{2028}sep\u{0085}`],
    ['lone \ud800', String.raw`lone \u{d800}`],
    ['no\u00a0break', String.raw`no\u{00a0}break`],
    ['blank\u3164\u2800', String.raw`blank\u{3164}\u{2800}`],
    ['\u0301alone', String.raw`\u{0301}alone`],
    [`z${'\u0335'.repeat(5)}`, `z${'\u0335'.repeat(3)}${String.raw`\u{0335}\u{0335}`}`],
    [String.raw`C:\u{202e}`, String.raw`C:\\u{202e}`],
    ['Grüße, Ελλάδα, नमस्ते, 日本 €', 'Grüße, Ελλάδα, नमस्ते, 日本 €'],
  ])('shows %j', (text, shown) => {
    expect(toDisplayText(text)).toBe(shown)
  })

  it('shows only characters that stand for themselves, and different texts differently', () => {
    assert(
      property(string({ unit: 'binary' }), string({ unit: 'binary' }), (a, b) => {
        expect(toDisplayText(a)).toMatch(/^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$/u)
        return a === b || toDisplayText(a) !== toDisplayText(b)
      }),
    )
  })

  it('shows every member on a line of its own, names escaped too', () => {
    const shown = toDisplay({ to: 'bob', 'a\nb': [1, null, true, {}], nested: { '"': 'x"y' } })
    expect(shown).toBe(
      [
        '{',
        '  to: "bob"',
        String.raw`  "a\nb": [`,
        '    1',
        '    null',
        '    true',
        '    {}',
        '  ]',
        '  nested: {',
        String.raw`    "\"": "x\"y"`,
        '  }',
        '}',
      ].join('\n'),
    )
  })
})
