import type { ReactNode } from 'react'
import type { Flaw } from '../api/types'
import { t } from '../i18n'
import { Icon } from '../ui/icons'
import { HostText } from '../ui/text'
import type { Checked } from './check'

/** What is wrong with the text, each with its place; choosing one goes there. */
export function Problems({ checked, problems, found, onGo }: {
  checked: Checked
  problems: Flaw[]
  /** What the text holds, where it is right. */
  found: string
  onGo: (p: Flaw) => void
}): ReactNode {
  return (
    <div className="problems" role="status" aria-label={t('edit.problems')} data-problems={problems.filter((p) => !p.warning).length} data-current={checked.current}>
      {checked.absent && <span className="dim">{t('edit.nocheck')}</span>}
      {problems.length === 0 && !checked.absent && (
        checked.ok ? <span className="ok"><Icon name="check" size={14} />{found}</span> : <span className="dim" style={{ padding: '4px 6px' }}>{t('edit.checking')}</span>
      )}
      {problems.map((p, i) => (
        <button key={i} type="button" onClick={() => onGo(p)}>
          <span className={p.warning ? 'warn' : 'bad'}><Icon name="warn" size={14} /></span>
          <span className="dim num nowrap">{p.line > 0 ? t('edit.at', { line: p.line, column: p.column }) : t('edit.whole')}</span>
          <span><HostText text={p.message} most={400} />{p.next && <span className="dim"> <HostText text={p.next} most={400} /></span>}</span>
        </button>
      ))}
    </div>
  )
}
