import type { ReactNode } from 'react'
import type { AlertStatus, Health, HostStatus, ResponseState, Severity } from '../api/types'
import { severities } from '../api/types'
import { t, word } from '../i18n'
import { sensorSummary } from '../lib/health'
import { HostText } from './text'

export function SeverityBadge({ severity }: { severity: string }): ReactNode {
  // What is no severity must not choose a class name.
  const known = severities.find((s) => s === severity)
  return <span className={`sev ${known ?? 'informational'}`}>{known ? word('severity', known) : <HostText text={severity} line />}</span>
}

export const severityClass = (severity: string): Severity =>
  severities.find((s) => s === severity) ?? 'informational'

export function HostState({ status }: { status: HostStatus }): ReactNode {
  const kind = status === 'online' ? 'ok' : status === 'pending' ? 'warn' : 'hollow'
  return (
    <span className="state">
      <span className={`dot ${kind}`} />
      {word('host.status', status)}
    </span>
  )
}

export function AlertState({ status }: { status: AlertStatus }): ReactNode {
  const kind = status === 'open' ? 'warn' : status === 'acknowledged' ? 'info' : ''
  return <span className={`tag ${kind}`}>{word('alert.status', status)}</span>
}

const responseKinds: Record<ResponseState, string> = {
  pending: 'warn',
  sent: 'warn',
  done: 'ok',
  planned: 'info',
  failed: 'bad',
  refused: 'bad',
  expired: 'bad',
}

export function ResponseBadge({ state }: { state: ResponseState }): ReactNode {
  return (
    <span className={`tag ${responseKinds[state] ?? ''}`} data-state={state}>
      {word('response.state', state)}
    </span>
  )
}

/** The state of a host's sensors in one word; "unknown" is never "healthy". */
export function SensorHealth({ health, status }: { health: Health | null; status: HostStatus }): ReactNode {
  const summary = sensorSummary(health)
  const stale = status !== 'online'
  const kind = summary.state === 'healthy' ? 'ok' : summary.state === 'unknown' ? 'hollow' : summary.state === 'failed' ? 'bad' : 'warn'
  return (
    <span className="state" title={stale && summary.state !== 'unknown' ? t('sensors.stale') : undefined}>
      <span className={`dot ${stale ? 'hollow' : kind}`} />
      {word('sensors.state', summary.state)}
      {stale && summary.state !== 'unknown' && <span className="dim">{t('sensors.lastknown')}</span>}
      {!stale && summary.lost > 0n && <span className="tag warn">{t('sensors.lost', { n: summary.lost })}</span>}
    </span>
  )
}
