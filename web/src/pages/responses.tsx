import type { ReactNode } from 'react'
import type { Alert, Response } from '../api/types'
import { t, word } from '../i18n'
import { asResponse } from '../lib/ruleaction'
import { ResponseBadge } from '../ui/badges'
import { Time } from '../ui/parts'
import { HostText } from '../ui/text'
import { targetText, UndoButton } from './undo'

/** What was done about an alert: by its rule, and by people. */
export function Responses({ alert: a }: { alert: Alert }): ReactNode {
  const byRule = a.actions ?? []
  const byPeople = a.responses ?? []
  return (
    <section aria-label={t('panel.responses')} aria-live="polite">
      <h3>{t('panel.responses')}</h3>
      {byRule.length + byPeople.length === 0 && <p className="dim">{t('panel.noresponses')}</p>}
      {byPeople.map((r) => <One key={r.id} response={r} />)}
      {byRule.length > 0 && (
        <div className="response">
          <span className="dim">{t('panel.byrule')}</span>
          {byRule.map((x, i) => (
            <div key={i} className="row wrap">
              <span>{word('action', x.action)}</span>
              <span className={`tag ${x.state === 'done' ? 'ok' : x.state === 'failed' ? 'bad' : ''}`}><HostText text={word('action.state', x.state)} line /></span>
              {x.detail && <HostText text={x.detail} />}
              {x.undo && <UndoButton response={asResponse(a, x)} />}
            </div>
          ))}
        </div>
      )}
    </section>
  )
}

function One({ response: r }: { response: Response }): ReactNode {
  const args = r.args as { pid?: number | bigint } | null
  const target = targetText(r)
  const waiting = r.state === 'pending' || r.state === 'sent'
  return (
    <div className="response" data-response={r.id} data-state={r.state}>
      <div className="row wrap">
        <b>{word('action', r.action)}</b>
        {args?.pid !== undefined && <span className="dim num">{t('process.pid', { pid: String(args.pid) })}</span>}
        {target && <span className="mono clip" style={{ maxWidth: 320 }}><HostText text={target} line /></span>}
        {r.dry_run && <span className="tag">{t('response.dryrun')}</span>}
        <ResponseBadge state={r.state} />
        <UndoButton response={r} />
        <span className="dim" style={{ marginLeft: 'auto' }}><Time at={r.finished_at ?? r.created_at} /></span>
      </div>
      <dl className="facts">
        {r.seen && <><dt>{t('response.seen')}</dt><dd><HostText text={r.seen} /></dd></>}
        {r.error && <><dt>{t('response.error')}</dt><dd style={{ color: 'var(--bad)' }}><HostText text={r.error} /></dd></>}
        {r.plan && <><dt>{t('response.plan')}</dt><dd><HostText text={r.plan} /></dd></>}
        <dt>{t('response.by')}</dt><dd><HostText text={r.by} most={80} /></dd>
        {r.reason && <><dt>{t('response.reason')}</dt><dd><HostText text={r.reason} most={240} /></dd></>}
        {waiting && <><dt>{t('response.expires')}</dt><dd><Time at={r.expires_at} /></dd></>}
      </dl>
    </div>
  )
}
