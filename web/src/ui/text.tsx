import { Fragment, useState, type ReactNode } from 'react'
import type { Value } from '../api/types'
import { t } from '../i18n'
import { pieces, plain, shorten, valueText } from '../lib/text'

/** The runs of a text, with each character that would act shown instead. */
export function marked(text: string): ReactNode {
  return pieces(text).map((p, i) =>
    p.special ? (
      <span key={i} className="ctl" title={p.special}>
        {p.text}
      </span>
    ) : (
      <Fragment key={i}>{p.text}</Fragment>
    ),
  )
}

interface Props {
  text: string | null | undefined
  mono?: boolean
  /** One line that the surroundings cut off; the whole text is its tooltip. */
  line?: boolean
  /** Characters shown before "Show all". */
  most?: number
}

/**
 * Text that comes from an endpoint, or from whoever controls one. It is only
 * ever text: no markup, no direction of its own, no invisible characters.
 */
export function HostText({ text, mono, line, most = 600 }: Props): ReactNode {
  const [whole, setWhole] = useState(false)
  if (text === null || text === undefined) return <span className="null">{t('value.null')}</span>
  if (text === '') return <span className="null">{t('value.empty')}</span>
  const cut = whole ? text : shorten(text, line ? 400 : most)
  const className = `ht ${line ? 'line clip' : 'block'}${mono ? ' mono' : ''}`
  if (line) {
    return (
      <span className={className} title={plain(shorten(text, 1500))}>
        {marked(cut)}
      </span>
    )
  }
  return (
    <span className={className}>
      {marked(cut)}
      {text.length > most && (
        <button type="button" className="linkbutton" onClick={() => setWhole(!whole)}>
          {whole ? t('text.less') : t('text.more', { n: text.length })}
        </button>
      )}
    </span>
  )
}

export function ValueText({ value, line }: { value: Value | undefined; line?: boolean }): ReactNode {
  return <HostText text={valueText(value)} mono line={line} />
}
