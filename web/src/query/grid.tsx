import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import type { QueryRow, Value } from '../api/types'
import { t } from '../i18n'
import { compareValues, plain, shorten, valueText } from '../lib/text'
import { Icon } from '../ui/icons'
import { CopyButton } from '../ui/parts'
import { marked, ValueText } from '../ui/text'

const rowHeight = 28
const charWidth = 7.4
const hostColumn = '\u0000host' // cannot be a column's name in SQL text

interface Props {
  rows: QueryRow[]
  columns: string[]
  version: number
  filter: string
}

export const cellOf = (row: QueryRow, column: string): Value | undefined =>
  Object.hasOwn(row.values, column) ? row.values[column] : undefined

/** Rows of all hosts; only those in sight are in the document. */
export function Grid({ rows, columns, version, filter }: Props): ReactNode {
  const [sort, setSort] = useState<{ column: string; down: boolean } | null>(null)
  const [chosen, setChosen] = useState<number | null>(null)
  const { widths, numeric } = useWidths(rows, columns)
  const shown = useMemo(() => arrange(rows, filter, sort), [rows, version, filter, sort])
  const box = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: shown.length,
    getScrollElement: () => box.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  })
  const all = [hostColumn, ...columns]
  const at = chosen === null ? -1 : shown.findIndex((r) => r.seq === chosen)
  const picked = at < 0 ? undefined : shown[at]
  const keys = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') return setChosen(null)
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0
    if (step === 0) return
    event.preventDefault()
    const next = Math.max(0, Math.min(shown.length - 1, at + step))
    const row = shown[next]
    if (!row) return
    setChosen(row.seq)
    virtual.scrollToIndex(next)
  }
  const order = (column: string): void =>
    setSort(sort?.column !== column ? { column, down: false } : sort.down ? null : { column, down: true })
  return (
    <>
      <div className="grid" ref={box} role="table" aria-label={t('query.results')} aria-rowcount={shown.length + 1} tabIndex={0} onKeyDown={keys}>
        <div className="head" role="row">
          {all.map((c) => (
            <span key={c} role="columnheader" style={{ width: widths.get(c), flex: 'none' }}
              aria-sort={sort?.column === c ? (sort.down ? 'descending' : 'ascending') : 'none'}>
              <button type="button" style={{ width: '100%', textAlign: numeric.has(c) ? 'right' : undefined }} onClick={() => order(c)} title={c === hostColumn ? t('query.host') : plain(c)}>
                {c === hostColumn ? t('query.host') : marked(c)}
                {sort?.column === c ? (sort.down ? ' ↓' : ' ↑') : ''}
              </button>
            </span>
          ))}
        </div>
        <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
          {virtual.getVirtualItems().map((item) => {
            const row = shown[item.index]
            if (!row) return null
            return (
              <div key={row.seq} role="row" aria-rowindex={item.index + 2} aria-selected={row.seq === chosen}
                className={`line${row.seq === chosen ? ' chosen' : ''}`} style={{ transform: `translateY(${item.start}px)` }}
                onClick={() => setChosen(row.seq === chosen ? null : row.seq)}>
                <span role="cell" className="cell host" style={{ width: widths.get(hostColumn) }}>{marked(shorten(row.hostname, 120))}</span>
                {columns.map((c) => <Cell key={c} value={cellOf(row, c)} width={widths.get(c)} right={numeric.has(c)} />)}
              </div>
            )
          })}
        </div>
      </div>
      {picked && <Detail row={picked} columns={columns} onClose={() => setChosen(null)} />}
    </>
  )
}

function Cell({ value, width, right }: { value: Value | undefined; width: number | undefined; right: boolean }): ReactNode {
  const text = valueText(value)
  return (
    <span role="cell" className={`cell${right ? ' n' : ''}`} style={{ width }}>
      {text === null ? <span className="null">{t('value.null')}</span> : marked(shorten(text, 300))}
    </span>
  )
}

function Detail({ row, columns, onClose }: { row: QueryRow; columns: string[]; onClose: () => void }): ReactNode {
  return (
    <div className="rowdetail" role="region" aria-label={t('query.row')}>
      <div className="row" style={{ marginBottom: 6 }}>
        <h3 className="grow">{t('query.rowon')} {marked(row.hostname)}</h3>
        <button type="button" className="iconbutton" onClick={onClose} aria-label={t('close')}><Icon name="close" size={15} /></button>
      </div>
      <div className="fields">
        {columns.map((c) => {
          const value = cellOf(row, c)
          return (
            <div className="field" key={c}>
              <span>{marked(c)}</span>
              <span className="row" style={{ alignItems: 'flex-start' }}>
                <span className="grow"><ValueText value={value} /></span>
                <CopyButton text={valueText(value) ?? ''} />
              </span>
            </div>
          )
        })}
      </div>
    </div>
  )
}

function arrange(rows: QueryRow[], filter: string, sort: { column: string; down: boolean } | null): QueryRow[] {
  const word = filter.trim().toLowerCase()
  let out = word === '' ? rows : rows.filter((r) => matches(r, word))
  if (sort) {
    const { column, down } = sort
    const sign = down ? -1 : 1
    out = out.toSorted((a, b) =>
      column === hostColumn
        ? sign * (a.hostname < b.hostname ? -1 : a.hostname > b.hostname ? 1 : a.seq - b.seq)
        : sign * compareValues(cellOf(a, column), cellOf(b, column)) || a.seq - b.seq,
    )
  }
  return out
}

function matches(row: QueryRow, word: string): boolean {
  if (row.hostname.toLowerCase().includes(word)) return true
  for (const column in row.values) {
    if ((valueText(cellOf(row, column)) ?? '').toLowerCase().includes(word)) return true
  }
  return false
}

interface Measured {
  widths: Map<string, number>
  numeric: Set<string>
}

const isNumber = (v: Value | undefined): boolean => typeof v === 'number' || typeof v === 'bigint'

/**
 * Widths from the first rows, and kept: columns that grow while rows arrive
 * would move under the reader's eyes.
 */
function useWidths(rows: QueryRow[], columns: string[]): Measured {
  const [widths, setWidths] = useState<Measured>({ widths: new Map(), numeric: new Set() })
  const names = columns.join('\u0000')
  const measured = Math.min(rows.length, 100)
  const enough = useRef({ names: '', rows: 0 })
  useEffect(() => {
    if (enough.current.names === names && enough.current.rows >= 20) return
    if (enough.current.names === names && enough.current.rows === measured) return
    enough.current = { names, rows: measured }
    const next = new Map<string, number>()
    const fit = (most: number): number => Math.round(Math.min(46, Math.max(6, most)) * charWidth + 24)
    const sample = rows.slice(0, 100)
    next.set(hostColumn, fit(Math.max(...sample.map((r) => r.hostname.length), 10)))
    for (const c of columns) {
      next.set(c, fit(Math.max(c.length + 2, ...sample.map((r) => (valueText(cellOf(r, c)) ?? 'NULL').length))))
    }
    const numeric = new Set(columns.filter((c) => sample.some((r) => isNumber(cellOf(r, c)))))
    setWidths({ widths: next, numeric })
  }, [rows, columns, names, measured])
  return widths
}
