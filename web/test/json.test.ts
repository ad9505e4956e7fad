import { describe, expect, test } from 'vitest'
import { parse, stringify } from '../src/api/json'

describe('numbers beyond a double', () => {
  const text = '{"pid":48213,"start_time_ns":18742158213144639,"low":-9223372036854775808,"real":1.5e300}'

  test('come whole and go back unchanged', () => {
    const value = parse(text) as Record<string, unknown>
    expect(value['pid']).toBe(48213)
    expect(value['start_time_ns']).toBe(18742158213144639n)
    expect(value['low']).toBe(-9223372036854775808n)
    expect(value['real']).toBe(1.5e300)
    expect(stringify({ args: { start_time_ns: value['start_time_ns'] } })).toBe('{"args":{"start_time_ns":18742158213144639}}')
  })

  test('stay numbers where a double holds them', () => {
    expect(parse('[9007199254740991, 1000000000000000]')).toEqual([9007199254740991, 1000000000000000])
  })

  test('inside texts are left alone', () => {
    const hostile = '{"cmdline":"x \\"18742158213144639\\" \\\\ 18742158213144639","n":18742158213144639}'
    expect(parse(hostile)).toEqual({ cmdline: 'x "18742158213144639" \\ 18742158213144639', n: 18742158213144639n })
  })

  test('with fraction or exponent are reals', () => {
    expect(parse('[0.12345678901234567, 12345678901234567e-3]')).toEqual([0.12345678901234567, 12345678901234567e-3])
  })

  test('broken JSON is an error', () => {
    expect(() => parse('{"a":12345678901234567890')).toThrow(SyntaxError)
  })
})
