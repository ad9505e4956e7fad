import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, describe, expect, test } from 'vitest'
import { compareValues, pieces, plain, shorten, valueText } from '../src/lib/text'
import { HostText, ValueText } from '../src/ui/text'

afterEach(cleanup)

const markup = '<img src=x onerror="globalThis.owned=1"></td><script>globalThis.owned=2</script>'

describe('text from an endpoint', () => {
  test('is never markup', () => {
    const { container } = render(<HostText text={markup} />)
    expect(container.textContent).toBe(markup)
    expect(container.querySelector('img, script, td')).toBeNull()
    expect('owned' in globalThis).toBe(false)
  })

  test('is never markup in a tooltip or on one line', () => {
    const { container } = render(<HostText text={`"><b>x</b>\u202e`} line />)
    const span = container.querySelector('.ht')
    expect(span?.getAttribute('title')).toBe('"><b>x</b>\\u{202E}')
    expect(container.querySelector('b')).toBeNull()
  })

  test.each([
    ['\u202egpj.exe', '\\u{202E}gpj.exe', 'U+202E RIGHT-TO-LEFT OVERRIDE'],
    ['a\u2066b', 'a\\u{2066}b', 'U+2066 LEFT-TO-RIGHT ISOLATE'],
    ['\u001b[31mred', '\\e[31mred', 'U+001B ESCAPE'],
    ['a\nb', 'a\\nb', 'U+000A LINE FEED'],
    ['a\u0000b', 'a\\0b', 'U+0000 NULL'],
    ['pay\u200bpal', 'pay\\u{200B}pal', 'U+200B ZERO WIDTH SPACE'],
    ['x\u0085y', 'x\\u{0085}y', 'U+0085'],
    ['tag\u{e0041}', 'tag\\u{E0041}', 'U+E0041'],
    ['lone\ud800', 'lone\\u{D800}', 'U+D800'],
    ['fill\u3164er', 'fill\\u{3164}er', 'U+3164'],
  ])('%j is shown as %j', (text, shown, name) => {
    const { container } = render(<HostText text={text} />)
    expect(container.textContent).toBe(shown)
    expect(container.querySelector('.ctl')?.getAttribute('title')).toBe(name)
    expect(plain(text)).toBe(shown)
  })

  test('keeps letters of every script and emoji', () => {
    for (const text of ['Grüße', '日本語', 'العربية', 'עברית', '😀', 'é']) expect(pieces(text)).toEqual([{ text }])
  })

  test('is cut, and shown whole on demand', () => {
    const text = 'x'.repeat(5000)
    const { container } = render(<HostText text={text} most={100} />)
    expect(container.textContent?.length).toBeLessThan(200)
    fireEvent.click(screen.getByRole('button', { name: 'Show all 5,000 characters' }))
    expect(container.textContent).toContain(text)
    fireEvent.click(screen.getByRole('button', { name: 'Show less' }))
    expect(container.textContent?.length).toBeLessThan(200)
  })

  test('is not cut inside a character', () => {
    expect(shorten('a😀b', 2)).toBe('a')
    expect(shorten('a😀b', 3)).toBe('a😀')
  })
})

describe('SQL values', () => {
  test('tell NULL from the empty text', () => {
    const { container } = render(<><ValueText value={null} /> <ValueText value="" /> <ValueText value="NULL" /></>)
    expect([...container.querySelectorAll('.null')].map((e) => e.textContent)).toEqual(['NULL', 'empty'])
  })

  test('are shown as they are', () => {
    expect(valueText(18446744073709551615n)).toBe('18446744073709551615')
    expect(valueText({ base64: 'AAE=' })).toBe('base64:AAE=')
    expect(valueText(0)).toBe('0')
  })

  test('sort as SQLite does, and numbers in texts as numbers', () => {
    const sorted = ['b', 10, null, '9', 18742158213144639n, '10', 2].toSorted((a, b) => compareValues(a, b))
    expect(sorted).toEqual([null, 2, 10, 18742158213144639n, '9', '10', 'b'])
  })
})
