import { Button, Tooltip } from '@mantine/core'
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react'
import { ApiError } from '../api/client'
import { t } from '../i18n'
import { ago, parseTime, stamp } from '../lib/format'
import { plain } from '../lib/text'
import { Icon, type IconName } from './icons'
import { HostText } from './text'

export function Notice({ kind = 'info', children }: { kind?: 'info' | 'warn' | 'bad' | 'ok'; children: ReactNode }): ReactNode {
  return (
    <div className={`notice ${kind}`} role={kind === 'bad' ? 'alert' : 'status'}>
      <Icon name={kind === 'info' ? 'info' : kind === 'ok' ? 'check' : 'warn'} />
      <div className="what">{children}</div>
    </div>
  )
}

/** What an error was, in words, with the server's own text as it came. */
export function Failure({ error, retry }: { error: unknown; retry?: () => void }): ReactNode {
  return (
    <Notice kind="bad">
      <span className="row wrap">
        <span className="grow">{errorText(error)}</span>
        {retry && (
          <Button size="compact-xs" variant="default" onClick={retry}>
            {t('retry')}
          </Button>
        )}
      </span>
    </Notice>
  )
}

export function errorText(error: unknown): ReactNode {
  if (error instanceof ApiError) {
    if (error.code === 'unreachable') return t('error.unreachable', { why: plain(error.message) })
    if (error.status === 403) return t('error.forbidden', { why: plain(error.message) })
    return <HostText text={error.message} />
  }
  return <HostText text={error instanceof Error ? error.message : String(error)} />
}

export function Empty({ title, icon, children }: { title: string; icon?: IconName; children?: ReactNode }): ReactNode {
  return (
    <div className="empty">
      {icon && <Icon name={icon} size={30} />}
      <h2>{title}</h2>
      {children}
    </div>
  )
}

export function Loading({ lines = 5 }: { lines?: number }): ReactNode {
  return (
    <div className="stack" style={{ padding: 16, gap: 14 }} aria-busy="true" aria-label={t('loading')}>
      {Array.from({ length: lines }, (_, i) => (
        <div key={i} className="skeleton" style={{ width: `${88 - ((i * 17) % 40)}%` }} />
      ))}
    </div>
  )
}

// One clock for all relative times of the page.
const listeners = new Set<() => void>()
let now = Date.now()
let clock: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  clock ??= setInterval(() => {
    now = Date.now()
    for (const l of listeners) l()
  }, 5000)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      clearInterval(clock)
      clock = undefined
    }
  }
}

export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}

/** A time, relative with the exact one as tooltip, or the other way round. */
export function Time({ at, exact }: { at: string | null | undefined; exact?: boolean }): ReactNode {
  useNow()
  const time = parseTime(at)
  if (!time) return <span className="dim">{t('time.never')}</span>
  const relative = ago(time, Date.now())
  return (
    <time dateTime={time.toISOString()} title={exact ? relative : stamp(time)} className="num nowrap">
      {exact ? stamp(time) : relative}
    </time>
  )
}

export function CopyButton({ text, label }: { text: string; label?: string }): ReactNode {
  const [done, setDone] = useState(false)
  useEffect(() => {
    if (!done) return
    const timer = setTimeout(() => setDone(false), 1600)
    return () => clearTimeout(timer)
  }, [done])
  const name = done ? t('copied') : (label ?? t('copy'))
  return (
    <button
      type="button"
      className="iconbutton"
      aria-label={name}
      title={name}
      onClick={() => {
        void navigator.clipboard?.writeText(text).then(() => setDone(true))
      }}
    >
      <Icon name={done ? 'check' : 'copy'} size={15} />
    </button>
  )
}

export function CodeBox({ text, copy = true }: { text: string; copy?: boolean }): ReactNode {
  return (
    <div className="codebox">
      <HostText text={text} mono />
      {copy && <CopyButton text={text} />}
    </div>
  )
}

/** Shows why something cannot be done, on what would do it. */
export function Why({ reason, children }: { reason: string | null; children: ReactNode }): ReactNode {
  if (!reason) return children
  return (
    <Tooltip label={reason} withArrow multiline maw={320}>
      <span>{children}</span>
    </Tooltip>
  )
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = `${plain(title)} · edr`
  }, [title])
}
