import { useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { ActionNote, Response } from '../api/types'
import { t, word } from '../i18n'
import { useClient, useLacks } from '../session'
import { ConfirmButton } from '../ui/confirm'
import { HostText } from '../ui/text'

/** What an action was done to, in one line; the pid of a process is shown by itself. */
export function targetText(r: Pick<Response, 'action' | 'args'>): string {
  const a = (r.args ?? {}) as Record<string, unknown>
  if (typeof a['path'] === 'string') return a['path']
  if (typeof a['remote_address'] === 'string') {
    const v6 = a['remote_address'].includes(':')
    const address = v6 ? `[${a['remote_address']}]` : a['remote_address']
    return a['remote_port'] ? `${address}:${String(a['remote_port'])}` : a['remote_address']
  }
  return typeof a['id'] === 'string' ? a['id'] : ''
}

/** What takes a done action back; null where nothing does, or where it was not done. */
export function undoOf(r: Response): ActionNote | null {
  if (r.state !== 'done' || r.dry_run || r.undone_by) return null
  if (r.undo?.action) return r.undo
  if (r.action === 'block_connection') {
    const { remote_address, remote_port, protocol, direction } = (r.args ?? {}) as Record<string, unknown>
    return { action: 'unblock_connection', args: { remote_address, remote_port, protocol, direction } }
  }
  if (r.action === 'suspend_process') return { action: 'resume_process', args: r.args }
  return null
}

export function UndoButton({ response: r }: { response: Response }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('respond')
  const undo = undoOf(r)
  if (!undo) return r.undone_by ? <span className="tag">{t('undo.was')}</span> : null
  return (
    <ConfirmButton size="compact-xs" label={word('undo.label', undo.action)} title={word('action', undo.action)} reason={lacks}
      act={() => client.respond({
        host: r.host, action: undo.action, args: undo.args, reason: t('undo.reason', { id: r.id }), dry_run: false, ...(r.alert ? { alert: r.alert } : {}),
      })}
      onDone={() => {
        for (const key of ['responses', 'alert', 'overview']) void queries.invalidateQueries({ queryKey: [key] })
      }}>
      <p>{t('undo.text', { action: word('action', r.action) })}</p>
      <div className="codebox" style={{ marginTop: 8 }}><HostText text={targetText(r) || r.seen} mono /></div>
    </ConfirmButton>
  )
}
