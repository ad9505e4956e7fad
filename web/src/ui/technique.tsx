import type { ReactNode } from 'react'
import { HostText } from './text'

/** ATT&CK ids become links only in the form that they have; anything else is text. */
export function Technique({ id }: { id: string }): ReactNode {
  if (!/^T\d{4}(\.\d{3})?$/.test(id)) return <span className="tag"><HostText text={id} line /></span>
  return (
    <a className="tag info mono" href={`https://attack.mitre.org/techniques/${id.replace('.', '/')}/`} target="_blank" rel="noreferrer noopener">{id}</a>
  )
}
