import { Button, Modal, Textarea } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import type { Alert, Process } from '../api/types'
import { t, word } from '../i18n'
import { useClient } from '../session'
import { ResponseBadge } from '../ui/badges'
import { Failure, Notice, Time } from '../ui/parts'
import { HostText } from '../ui/text'

export function KillDialog({ alert, process, onClose }: { alert: Alert; process: Process | null; onClose: () => void }): ReactNode {
  return (
    <Modal opened={process !== null} onClose={onClose} title={t('kill.title')} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      {process && <KillForm alert={alert} process={process} onClose={onClose} />}
    </Modal>
  )
}

function KillForm({ alert: a, process: p, onClose }: { alert: Alert; process: Process; onClose: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [reason, setReason] = useState('')
  const request = (dry: boolean) => ({
    host: a.host.id,
    action: 'terminate_process' as const,
    args: { pid: p.pid, start_time_ns: p.start_time_ns },
    reason: reason.trim(),
    dry_run: dry,
    alert: a.id,
  })
  const refresh = () => queries.invalidateQueries({ queryKey: ['alert', String(a.id)] })
  const kill = useMutation({
    mutationFn: () => client.respond(request(false)),
    onSuccess: async () => {
      onClose()
      await refresh()
    },
  })
  const plan = useMutation({ mutationFn: () => client.respond(request(true)), onSuccess: refresh })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason.trim() !== '') kill.mutate()
  }
  return (
    <form onSubmit={submit} className="stack" style={{ gap: 14 }}>
      <p>{t('kill.text')}</p>
      <div className="fields">
        <Line name={t('panel.host')}><HostText text={a.host.hostname} /></Line>
        <Line name={t('process.pidname')}><span className="mono">{String(p.pid)}</span></Line>
        <Line name={t('process.name')}><HostText text={p.name} mono /></Line>
        <Line name={t('process.path')}><HostText text={p.path} mono /></Line>
        <Line name={t('process.cmdline')}><HostText text={p.cmdline} mono most={400} /></Line>
        <Line name={t('process.user')}><HostText text={p.user || t('process.uid', { uid: String(p.uid) })} /></Line>
        <Line name={t('process.started')}><Time at={p.started} exact /></Line>
        <Line name={t('process.starttime')}><span className="mono">{String(p.start_time_ns)}</span></Line>
      </div>
      <p className="dim">{t('kill.identity')}</p>
      {a.host.status !== 'online' && <Notice kind="warn">{t('kill.away', { status: word('host.status', a.host.status) })}</Notice>}
      <Textarea label={t('kill.reason')} description={t('kill.reasonwhy')} value={reason} onChange={(e) => setReason(e.currentTarget.value)}
        required withAsterisk={false} maxLength={500} autosize minRows={2} maxRows={6} data-autofocus />
      {plan.data && <Planned id={plan.data.id} />}
      {(kill.isError || plan.isError) && <Failure error={kill.error ?? plan.error} />}
      <div className="row">
        <Button variant="default" loading={plan.isPending} disabled={reason.trim() === ''} onClick={() => plan.mutate()}>{t('kill.dryrun')}</Button>
        <span className="grow" />
        <Button variant="default" onClick={onClose}>{t('cancel')}</Button>
        <Button type="submit" color="red.8" loading={kill.isPending} disabled={reason.trim() === ''}>{t('kill.confirm')}</Button>
      </div>
    </form>
  )
}

/** What the host says it would do. */
export function Planned({ id }: { id: string }): ReactNode {
  const client = useClient()
  const plan = useQuery({
    queryKey: ['responses', 'one', id],
    queryFn: () => client.response(id),
    refetchInterval: (q) => (q.state.data && q.state.data.state !== 'pending' && q.state.data.state !== 'sent' ? false : 1000),
  })
  if (!plan.data) return null
  const r = plan.data
  return (
    <Notice kind={r.error ? 'bad' : 'info'}>
      <span className="row wrap">
        <ResponseBadge state={r.state} />
        <HostText text={r.error || r.plan || t('kill.asking')} />
      </span>
    </Notice>
  )
}

export function Line({ name, children }: { name: string; children: ReactNode }): ReactNode {
  return (
    <div className="field">
      <span>{name}</span>
      <span>{children}</span>
    </div>
  )
}
