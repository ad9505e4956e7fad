import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import type { Alert, Hit, Process } from '../api/types'
import { t, tn } from '../i18n'
import { identity, killable, killState } from '../lib/ancestry'
import { useLacks } from '../session'
import { Time, Why } from '../ui/parts'
import { HostText, ValueText } from '../ui/text'

/** The events that an alert gathers: each with its process, which may be another each time. */
export function Hits({ alert: a, onKill }: { alert: Alert; onKill: (p: Process) => void }): ReactNode {
  const hits = a.hits ?? []
  if (hits.length < 2) return null
  const total = a.hits_total ?? hits.length
  return (
    <section aria-label={t('hits.title')}>
      <h3>{t('hits.title')} <span className="tag num">{total > hits.length ? t('list.shown', { n: hits.length, total }) : hits.length}</span></h3>
      {hits.map((h) => <One key={String(h.id)} hit={h} alert={a} onKill={onKill} />)}
    </section>
  )
}

function One({ hit: h, alert: a, onKill }: { hit: Hit; alert: Alert; onKill: (p: Process) => void }): ReactNode {
  const lacks = useLacks('respond')
  const p = h.process
  const state = p ? killState(p, a.responses) : null
  const reason = !killable(p) ? t('kill.noidentity') : state === 'asked' ? t('kill.asked') : lacks
  return (
    <details className="hit" data-hit={String(h.id)}>
      <summary>
        <span className="dim nowrap num"><Time at={h.time} exact /></span>
        {p && <span className="nowrap"><b>{<HostText text={p.name} line />}</b> <span className="dim num">{t('process.pid', { pid: String(p.pid) })}</span></span>}
        <span className="grow clip"><HostText text={p?.cmdline || h.entity || h.title} mono line /></span>
        {(h.count ?? 1) > 1 && <span className="tag num">{tn('alert.times', h.count ?? 1)}</span>}
        {state === 'ended' && <span className="tag ok">{t('kill.ended')}</span>}
      </summary>
      <div className="inside">
        {p && (
          <>
            <HostText text={p.cmdline || p.path} mono />
            <dl className="facts">
              <dt>{t('process.path')}</dt><dd><HostText text={p.path} mono /></dd>
              <dt>{t('process.user')}</dt><dd><HostText text={p.user || t('process.uid', { uid: String(p.uid) })} /></dd>
              <dt>{t('process.started')}</dt><dd><Time at={p.started} exact /></dd>
              {(h.ancestry ?? []).length > 0 && (
                <><dt>{t('hits.ancestors')}</dt><dd>{(h.ancestry ?? []).map((x, i) => <span key={`${identity(x)}/${i}`}>{i > 0 && ' ← '}<HostText text={x.name} most={60} /></span>)}</dd></>
              )}
            </dl>
            {state !== 'ended' && (
              <div><Why reason={reason}><Button size="compact-xs" variant="default" disabled={reason !== null} onClick={() => onKill(p)}>{t('kill.this')}</Button></Why></div>
            )}
          </>
        )}
        {(h.event ?? []).length > 0 && (
          <div className="fields">
            {(h.event ?? []).map((f, i) => <div className="field" key={i}><span><HostText text={f.name} /></span><span><ValueText value={f.value} /></span></div>)}
          </div>
        )}
      </div>
    </details>
  )
}
