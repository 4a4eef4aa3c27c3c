/**
 * @module
 * Constraints, from the attack: every value that some receiver could read as another one is refused.
 */
import { describe, expect, it } from 'vitest'
import { satisfies } from './constraint.ts'
import type { Constraint } from './grant.ts'
import type { Json } from './json.ts'

/** The values of which `satisfies` says something else than `expected`. */
function misjudged(
  constraint: Constraint,
  values: readonly (Json | undefined)[],
  expected: boolean,
): readonly unknown[] {
  return values.filter((value) => satisfies(constraint, value) !== expected)
}

describe('pathPrefix', () => {
  const constraint: Constraint = { pathPrefix: '/srv/data' }
  it('holds whole segments', () => {
    expect(
      misjudged(
        constraint,
        ['/srv/data', '/srv/data/a', '/srv/data/a b/ö.txt', '/srv/data/.hidden', '/srv/data/a..b'],
        true,
      ),
    ).toEqual([])
    expect(misjudged(constraint, ['/srv/data2', '/srv', '/', '', 'srv/data/a', '/SRV/data/a'], false)).toEqual([])
  })
  it('refuses what could be normalised into something else', () => {
    const attacks = [
      '/srv/data/../secret',
      '/srv/data/..',
      '/srv/data/./a',
      '/srv/data//a',
      '/srv/data/',
      '/srv/data/%2e%2e/secret',
      '/srv/data/%252e%252e/secret',
      '/srv/data/..%2fsecret',
      '/srv/data\\..\\secret',
      '/srv/data/..\\secret',
      '/srv/data/a\0.txt',
      '/srv/data/a\n',
      '/srv/data/．．/secret',
      '/srv/data/‥/secret',
      '/srv/data/.. /secret',
      '/srv/data/.../secret',
      '/srv/data/\ud800',
      'file:///srv/data/a',
    ]
    expect(misjudged(constraint, attacks, false)).toEqual([])
  })
  it('reads the prefix itself as strictly', () => {
    for (const pathPrefix of ['', '/srv//data', '/srv/../srv/data', '//']) {
      expect(misjudged({ pathPrefix }, ['/srv/data/a', '', '/'], false)).toEqual([])
    }
    expect(misjudged({ pathPrefix: '/' }, ['/a', '/a/b'], true)).toEqual([])
    expect(misjudged({ pathPrefix: '/srv/data/' }, ['/srv/data/a'], true)).toEqual([])
    expect(misjudged({ pathPrefix: 'docs' }, ['docs/a'], true)).toEqual([])
    expect(misjudged({ pathPrefix: 'docs' }, ['/docs/a'], false)).toEqual([])
  })
})

describe('hostSuffix', () => {
  const constraint: Constraint = { hostSuffix: 'good.example' }
  it('holds hosts, URLs and e-mail addresses on label boundaries', () => {
    const good = [
      'good.example',
      'GOOD.example',
      'api.good.example',
      'good.example:8443',
      'https://good.example',
      'https://api.good.example:8443/a@b?c#d',
      'wss://good.example/',
      'bob@good.example',
      "b.o'b+tag@mail.good.example",
    ]
    expect(misjudged(constraint, good, true)).toEqual([])
  })
  it('refuses every other reading', () => {
    const attacks = [
      'evilgood.example',
      'good.example.evil.test',
      'http://good.example@evil.test/',
      'http://evil.test@good.example/',
      'http://good.example:80@evil.test/',
      'http://evil.test\\@good.example/',
      'http://evil.test/good.example',
      'http://evil.test#@good.example',
      'http://good.example?@evil.test/',
      'http://good.example#@evil.test/',
      'http:/good.example/',
      '//good.example/',
      'http://good.example./',
      'good.example.',
      '.good.example',
      'a..good.example',
      'javascript://good.example/%0aalert(1)',
      'file://good.example/etc/passwd',
      'mailto:bob@good.example',
      'http://gооd.example/',
      'http://good。example/',
      'http://ｇood.example/',
      'good.example\0.evil.test',
      'good.example evil.test',
      'http://good.example%2eevil.test/',
      'http://[::1]/',
      'bob@evil.test,eve@good.example',
      'Bob <bob@good.example>',
      'bob%evil.test@good.example',
      'evil.test!bob@good.example',
      '"bob@evil.test"@good.example',
      'bob@good.example@evil.test',
      'bob@evil.test@good.example',
      '@good.example',
      'bob@good.example:25',
      '-.good.example',
      '_dmarc.good.example',
    ]
    expect(misjudged(constraint, attacks, false)).toEqual([])
  })
  it('never takes an address for a name', () => {
    expect(misjudged({ hostSuffix: '0.1' }, ['127.0.0.1', 'http://127.0.0.1/'], false)).toEqual([])
    expect(misjudged({ hostSuffix: '0x7f' }, ['127.0x7f'], false)).toEqual([])
    expect(misjudged({ hostSuffix: '' }, ['good.example', ''], false)).toEqual([])
    expect(misjudged({ hostSuffix: '.good.example' }, ['a.good.example'], false)).toEqual([])
  })
})

describe('cidr', () => {
  it('holds addresses of the block', () => {
    expect(misjudged({ cidr: '10.0.0.0/8' }, ['10.0.0.0', '10.255.255.255'], true)).toEqual([])
    expect(misjudged({ cidr: '0.0.0.0/0' }, ['1.2.3.4'], true)).toEqual([])
    expect(
      misjudged({ cidr: '2001:db8::/32' }, ['2001:db8::1', '2001:DB8:0:0:0:0:0:1', '2001:db8::1.2.3.4'], true),
    ).toEqual([])
    expect(misjudged({ cidr: '::1/128' }, ['::1', '0:0:0:0:0:0:0:1'], true)).toEqual([])
  })
  it('refuses other families, forms and blocks', () => {
    const attacks = ['11.0.0.0', '10.1', '167772161', '0xa.0.0.1', '012.0.0.1', '10.0.0.01', '10.0.0.256', ' 10.0.0.1']
    expect(
      misjudged({ cidr: '10.0.0.0/8' }, [...attacks, '::ffff:10.0.0.1', '10.0.0.1/32', '10.0.0.1:80', ''], false),
    ).toEqual([])
    const six = ['2001:db9::', '2001:db8', '2001:db8:::1', '2001:db8::1::', '2001:db8::1%eth0', '[2001:db8::1]']
    expect(misjudged({ cidr: '2001:db8::/32' }, [...six, '2001:db8:0:0:0:0:0:0:1', '2001:db8::12345'], false)).toEqual(
      [],
    )
    expect(misjudged({ cidr: '0.0.0.0/0' }, ['::1'], false)).toEqual([])
    for (const cidr of ['10.0.0.1/8', '10.0.0.0/33', '10.0.0.0/08', '10.0.0.0', '10/8', '/8']) {
      expect(misjudged({ cidr }, ['10.0.0.1'], false)).toEqual([])
    }
  })
})

describe('in, range, all', () => {
  it('compares JSON by value', () => {
    expect(misjudged({ in: ['a', 1, null, { x: [1], y: 2 }] }, ['a', 1, null, { y: 2, x: [1] }], true)).toEqual([])
    expect(
      misjudged(
        { in: ['a', 1, { x: [1] }] },
        ['1', true, null, undefined, { x: [1, 2] }, { x: [1], y: 2 }, ['a']],
        false,
      ),
    ).toEqual([])
    expect(misjudged({ in: [{}] }, [{ toString: 1 }, []], false)).toEqual([])
  })
  it('takes numbers only', () => {
    expect(misjudged({ range: { min: 0, max: 10 } }, [0, 10, 5.5], true)).toEqual([])
    expect(
      misjudged({ range: { min: 0, max: 10 } }, [-1, 11, '5', null, undefined, NaN, Infinity, [5], true], false),
    ).toEqual([])
    expect(misjudged({ range: {} }, [Infinity, '1'], false)).toEqual([])
    expect(misjudged({ range: { min: NaN } }, [1], false)).toEqual([])
  })
  it('joins and never takes silence for consent', () => {
    expect(misjudged({ all: [{ range: { min: 0 } }, { in: [1, -1] }] }, [1], true)).toEqual([])
    expect(misjudged({ all: [{ range: { min: 0 } }, { in: [1, -1] }] }, [-1, 2, undefined], false)).toEqual([])
    expect(misjudged({ all: [] }, [1, undefined], false)).toEqual([])
  })
  it('refuses a constraint of two kinds or none', () => {
    const two: Constraint = Object.assign({ in: ['a'] }, { range: { max: 1 } })
    expect(misjudged(two, ['a', 1], false)).toEqual([])
  })
})
