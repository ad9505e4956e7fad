import { MantineProvider } from '@mantine/core'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { act, cleanup, render, screen } from '@testing-library/react'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { Client } from '../src/api/client'
import { setLanguage, t, tn, word } from '../src/i18n'
import { en } from '../src/i18n/en'
import { zh } from '../src/i18n/zh'
import { ago, count, duration, stamp } from '../src/lib/format'
import { LoginPage } from '../src/pages/login'
import { ClientProvider } from '../src/session'

beforeAll(() => {
  vi.stubGlobal('matchMedia', (query: string) => ({ matches: false, media: query, addEventListener() {}, removeEventListener() {}, addListener() {}, removeListener() {} }))
  vi.stubGlobal('ResizeObserver', class { observe() {} unobserve() {} disconnect() {} })
})
afterEach(() => {
  cleanup()
  setLanguage('en')
})

const holes = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? '').toSorted()

describe('the catalogues', () => {
  test('have the same keys, but for English forms of one', () => {
    expect(Object.keys(zh).toSorted()).toEqual(Object.keys(en).filter((k) => !k.endsWith('.one')).toSorted())
  })

  test('fill the same holes', () => {
    for (const [key, text] of Object.entries(zh)) {
      expect(`${key}: ${holes(text)}`).toBe(`${key}: ${holes(en[key as keyof typeof en])}`)
    }
  })

  test('say nothing empty, and what is a sentence in English is in Chinese', () => {
    for (const [key, text] of Object.entries(zh)) {
      expect(text.trim(), key).not.toBe('')
      if (en[key as keyof typeof en].split(' ').length > 6) expect(text, key).toMatch(/\p{Script=Han}/u)
    }
  })

  test('have a text for each form of one and other', () => {
    for (const key of Object.keys(en)) if (key.endsWith('.one')) expect(Object.keys(en)).toContain(key.replace(/one$/, 'other'))
  })
})

describe('the pages', () => {
  const source = (dir: string): string[] => readdirSync(dir, { withFileTypes: true }).flatMap((e) => e.isDirectory() ? source(join(dir, e.name)) : [join(dir, e.name)])

  test('have no words of their own between their elements', () => {
    const found = source(join(import.meta.dirname, '../src')).filter((f) => f.endsWith('.tsx')).flatMap((f) =>
      [...readFileSync(f, 'utf8').matchAll(/<(?:p|h[1-3]|Button|Tabs\.Tab|th|dt|label|option)[^<>{}]*>\s*([A-Z][a-z]+[^<>{}]*)</g)].map((m) => `${f}: ${m[1]}`))
    expect(found).toEqual([])
  })
})

describe('a language', () => {
  test('is chosen for texts, numbers, times and the page', () => {
    expect(t('nav.hosts')).toBe('Hosts')
    expect(tn('overview.alertcount', 1)).toBe('1 alert')
    setLanguage('zh')
    expect(document.documentElement.lang).toBe('zh-Hans')
    expect(localStorage.getItem('edr.language')).toBe('zh')
    expect(t('nav.hosts')).toBe('主机')
    expect(tn('overview.alertcount', 1)).toBe('1 个告警')
    expect(word('severity', 'high')).toBe('高')
    expect(word('severity', 'unheard of')).toBe('unheard of')
    expect(count(12_345)).toBe('12,345')
    expect(stamp(new Date(2026, 10, 22, 9, 5, 7))).toMatch(/2026年11月22日\s?09:05:07/)
    expect(ago(new Date(0), 300_000)).toMatch(/5\s?分钟前/)
    expect(duration(90_000)).toMatch(/1天.*1小时/)
  })

  test('times in English', () => {
    expect(stamp(new Date(2026, 10, 22, 9, 5, 7))).toMatch(/Nov 22, 2026, 09:05:07/)
    expect(ago(new Date(0), 300_000)).toMatch(/^5 min/)
    expect(ago(new Date(10_000), 0)).toMatch(/^in 10/)
    expect(ago(new Date(0), 500)).toBe('now')
    expect(duration(0)).toMatch(/^0 s/)
  })

  test('can be chosen before anybody is logged in', () => {
    const tree = () => (
      <MantineProvider><QueryClientProvider client={new QueryClient()}><ClientProvider value={new Client()}><LoginPage /></ClientProvider></QueryClientProvider></MantineProvider>
    )
    const { rerender } = render(tree())
    expect(screen.getByRole('button', { name: 'Sign in' })).toBeTruthy()
    act(() => setLanguage('zh'))
    rerender(tree())
    expect(screen.getByRole('button', { name: '登录' })).toBeTruthy()
    expect(document.title).toBe('登录 · edr')
  })
})
