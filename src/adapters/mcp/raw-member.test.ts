import { assert, constantFrom, dictionary, jsonValue, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { cutMember } from './raw-member.ts'

describe('a member that is cut out of a message', () => {
  it('is the text that was there', () => {
    const text =
      ' { "id" : "a,}\\"" , "result":{"n":9007199254740993,"s":"}]\\\\","a":[1.0,{"b":","}]} , "jsonrpc":"2.0" }'
    expect(cutMember(text, 'result')).toBe('{"n":9007199254740993,"s":"}]\\\\","a":[1.0,{"b":","}]}')
    expect(cutMember(text, 'id')).toBe('"a,}\\""')
    expect(cutMember('{"a":1 }', 'a').trim()).toBe('1')
    expect(() => cutMember(text, 'n')).toThrow('no member')
  })

  it('is the value, whatever it is and however it is written', () => {
    assert(
      property(dictionary(string(), jsonValue()), constantFrom('', '  ', '\n'), (value, space) => {
        const text = JSON.stringify(value, null, space)
        for (const [name, each] of Object.entries(JSON.parse(text))) {
          expect(JSON.parse(cutMember(text, name))).toEqual(each)
        }
      }),
    )
  })
})
