import { useState, type ReactNode } from 'react'
import { Link } from 'react-router'
import { severities } from '../api/types'
import { t, tn, word } from '../i18n'
import { roundUp, type Bar } from '../lib/chart'
import { axisTime, count, parseTime, stamp } from '../lib/format'

/** Alerts over time: a bar for each stretch, stacked by severity; each leads to its alerts. */
export function SeverityBars({ bars, bucketSeconds, to }: { bars: Bar[]; bucketSeconds: number; to: (bar: Bar) => string }): ReactNode {
  const [at, setAt] = useState<number | null>(null)
  const top = roundUp(Math.max(0, ...bars.map((b) => b.total)))
  const shown = at === null ? undefined : bars[at]
  const used = severities.filter((s) => bars.some((b) => b.parts.some((p) => p.severity === s)))
  const ticks = [0, Math.floor(bars.length / 3), Math.floor((2 * bars.length) / 3), bars.length - 1]
  return (
    <figure className="chart" aria-label={t('overview.overtime')}>
      <div className="plot">
        <div className="axis num" aria-hidden="true"><span>{count(top)}</span><span>{top % 2 === 0 ? count(top / 2) : ''}</span><span>0</span></div>
        <div className="bars" onMouseLeave={() => setAt(null)}>
          {bars.map((b, i) => {
            const body = (
              <span className="stackbar" style={{ height: `${(100 * b.total) / top}%` }}>
                {b.parts.toReversed().map((p) => <span key={p.severity} className={`edge ${p.severity}`} style={{ flexGrow: p.n }} />)}
              </span>
            )
            return b.total > 0 ? (
              <Link key={b.from} className="bar" to={to(b)} aria-label={describe(b)} onMouseEnter={() => setAt(i)} onFocus={() => setAt(i)} onBlur={() => setAt(null)}>{body}</Link>
            ) : (
              <span key={b.from} className="bar" onMouseEnter={() => setAt(i)}>{body}</span>
            )
          })}
        </div>
      </div>
      <div className="ticks num" aria-hidden="true">
        {ticks.map((i, n) => {
          const time = parseTime(bars[i]?.from)
          return <span key={n}>{time ? axisTime(time, bucketSeconds) : ''}</span>
        })}
      </div>
      <figcaption className="row wrap num">
        {shown ? <span className="dim">{describe(shown)}</span> : used.map((s) => (
          <span key={s} className="row" style={{ gap: 5 }}><i className={`key edge ${s}`} />{word('severity', s)}</span>
        ))}
        {!shown && used.length === 0 && <span className="dim">{t('overview.noalertsthen')}</span>}
      </figcaption>
    </figure>
  )
}

function describe(b: Bar): string {
  const time = parseTime(b.from)
  const parts = b.parts.map((p) => `${word('severity', p.severity)} ${count(p.n)}`).join(', ')
  return `${time ? stamp(time) : ''}: ${tn('overview.alertcount', b.total)}${parts ? ` (${parts})` : ''}`
}

/** A number with a bar of its share of the largest. */
export function Share({ n, most }: { n: number; most: number }): ReactNode {
  return (
    <span className="share" aria-hidden="true">
      <span style={{ width: `${most > 0 ? (100 * n) / most : 0}%` }} />
    </span>
  )
}
