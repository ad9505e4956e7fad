import { Button } from '@mantine/core'
import { useState, type ReactNode } from 'react'
import type { Alert, Process } from '../api/types'
import { t, tn } from '../i18n'
import { identity, killable, killState, lineage, type Ancestor } from '../lib/ancestry'
import { useLacks } from '../session'
import { Icon } from '../ui/icons'
import { CopyButton, Time, Why } from '../ui/parts'
import { HostText } from '../ui/text'

const most = 6

// Long chains stay inside the panel: the indent stops growing.
const indentOf = (depth: number): number => Math.min(depth, 8) * 17

/** The processes that led to the alert, furthest first, as a tree. */
export function Ancestry({ alert, onKill }: { alert: Alert; onKill: (p: Process) => void }): ReactNode {
  const chain = lineage(alert)
  const deep = Math.max(0, chain.length - 1)
  const [whole, setWhole] = useState(false)
  // Of a long chain the first and the last few tell most; the rest is a click away.
  const hidden = whole || chain.length <= most + 2 ? 0 : chain.length - most
  return (
    <div className="tree" role="list" aria-label={tn('panel.ancestors', deep)}>
      {chain.map((a, i) => {
        if (hidden > 0 && i > 0 && i <= hidden) {
          return i > 1 ? null : (
            <div key="hidden" className="proc" role="listitem" style={{ marginLeft: indentOf(1) }}>
              <button type="button" className="linkbutton" onClick={() => setWhole(true)}>{tn('panel.hidden', hidden)}</button>
            </div>
          )
        }
        const depth = hidden > 0 && i > hidden ? i - hidden + 1 : i
        return <Node key={`${identity(a.process)}/${a.depth}`} ancestor={a} depth={depth} state={killState(a.process, alert.responses)} onKill={onKill} />
      })}
      {deep === 0 && <p className="dim">{t('panel.noancestors')}</p>}
    </div>
  )
}

function Node({ ancestor: a, depth, state, onKill }: { ancestor: Ancestor; depth: number; state: 'ended' | 'asked' | null; onKill: (p: Process) => void }): ReactNode {
  const [open, setOpen] = useState(a.subject)
  const lacks = useLacks('respond')
  const p = a.process
  const reason = !killable(p) ? t('kill.noidentity') : state === 'asked' ? t('kill.asked') : lacks
  return (
    <div className={`proc${a.subject ? ' subject' : ''}${a.depth === 0 ? ' root' : ''}${a.gap ? ' gap' : ''}`} style={{ marginLeft: indentOf(depth) }} role="listitem">
      {a.gap && <div className="dim" style={{ fontSize: 12, marginBottom: 4 }}>{t('panel.gap', { parent: p.parent })}</div>}
      <div className="node">
        <div className="first">
          <button type="button" className="toggle grow" aria-expanded={open} onClick={() => setOpen(!open)}>
            <span style={{ transform: open ? 'rotate(90deg)' : undefined, display: 'inline-grid' }}><Icon name="chevron" size={12} /></span>
            <span className="name clip"><HostText text={p.name || p.path} line /></span>
            <span className="dim num nowrap">{t('process.pid', { pid: String(p.pid) })}</span>
            <span className="dim nowrap"><HostText text={p.user || t('process.uid', { uid: String(p.uid) })} line /></span>
            {!open && <span className="inline clip"><HostText text={p.cmdline || p.path} mono line /></span>}
          </button>
          {state === 'ended' && <span className="tag ok">{t('kill.ended')}</span>}
          {a.subject && state !== 'ended' && (
            <Why reason={reason}>
              <Button size="compact-sm" color="red.8" leftSection={<Icon name="kill" size={14} />} disabled={reason !== null} onClick={() => onKill(p)}>
                {t('kill.button')}
              </Button>
            </Why>
          )}
        </div>
        {open && (
          <>
            <div className="cmd row" style={{ alignItems: 'flex-start' }}>
              <span className="grow" data-testid={a.subject ? 'cmdline' : undefined}><HostText text={p.cmdline} mono /></span>
              <CopyButton text={p.cmdline} />
            </div>
            <dl className="facts more">
              <dt>{t('process.path')}</dt><dd><HostText text={p.path} mono /></dd>
              <dt>{t('process.user')}</dt><dd>{p.user ? <HostText text={p.user} /> : null} <span className="dim num">{t('process.uid', { uid: String(p.uid) })}</span></dd>
              <dt>{t('process.started')}</dt><dd><Time at={p.started} exact /></dd>
              <dt>{t('process.parent')}</dt><dd className="num">{String(p.parent)}</dd>
              {p.container_id && <><dt>{t('process.container')}</dt><dd><HostText text={p.container_id} mono /></dd></>}
            </dl>
            {!a.subject && state !== 'ended' && (
              <Why reason={reason}>
                <Button mt={8} size="compact-xs" variant="default" disabled={reason !== null} onClick={() => onKill(p)}>{t('kill.this')}</Button>
              </Why>
            )}
          </>
        )}
      </div>
    </div>
  )
}
