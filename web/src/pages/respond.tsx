import { Button, Modal, Select, Textarea } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type FormEvent, type ReactNode } from 'react'
import type { Alert, ID, Process } from '../api/types'
import { t, word } from '../i18n'
import { useClient } from '../session'
import { ResponseBadge } from '../ui/badges'
import { Failure, Notice } from '../ui/parts'
import { HostText } from '../ui/text'
import { Line } from './kill'

/** An action that a person has chosen, with as much of its target as the alert tells. */
export type Wanted =
  | { action: 'quarantine_file'; path: string }
  | { action: 'block_connection'; address: string; port: number; protocol: string; process: Process | null }

const valueOf = (a: Pick<Alert, 'event'>, ...names: string[]): string => {
  for (const name of names) {
    const value = a.event?.find((f) => f.name === name)?.value
    if (value !== undefined && value !== null && typeof value !== 'object' && String(value) !== '') return String(value)
  }
  return ''
}

/** The file of an alert: the one that changed, otherwise the program that ran. */
export function fileTarget(a: Pick<Alert, 'event' | 'process' | 'table'>): Wanted | null {
  const path = valueOf(a, 'target_path') || (a.table.startsWith('process') ? a.process?.path || valueOf(a, 'path') : '')
  return path && /^(\/|[A-Za-z]:\\)/.test(path) ? { action: 'quarantine_file', path } : null
}

export function blockTarget(a: Pick<Alert, 'event' | 'process'>): Wanted | null {
  const address = valueOf(a, 'remote_address')
  if (!address || /^(0\.0\.0\.0|::|127\..*|::1|\*)$/.test(address)) return null
  const protocol = valueOf(a, 'protocol').toLowerCase()
  return {
    action: 'block_connection', address, port: Number(valueOf(a, 'remote_port')) || 0,
    protocol: protocol === '17' || protocol === 'udp' ? 'udp' : 'tcp', process: a.process,
  }
}

interface Props {
  host: { id: string; hostname: string; status: string }
  alert?: ID
  wanted: Wanted | null
  onClose: () => void
}

export function RespondDialog({ host, alert, wanted, onClose }: Props): ReactNode {
  return (
    <Modal opened={wanted !== null} onClose={onClose} title={wanted ? word('action', wanted.action) : ''} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      {wanted && <Form host={host} alert={alert} wanted={wanted} onClose={onClose} />}
    </Modal>
  )
}

const durations = ['600', '3600', '86400', '604800']

function Form({ host, alert, wanted: w, onClose }: Omit<Props, 'wanted'> & { wanted: Wanted }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [reason, setReason] = useState('')
  const [anyPort, setAnyPort] = useState('port')
  const [seconds, setSeconds] = useState('3600')
  const file = w.action === 'quarantine_file'
  const args = file
    ? { path: w.path }
    : {
        remote_address: w.address, protocol: w.protocol, duration_s: Number(seconds),
        ...(anyPort === 'port' && w.port > 0 ? { remote_port: w.port } : {}),
        ...(w.process ? { pid: w.process.pid, start_time_ns: w.process.start_time_ns } : {}),
      }
  const refresh = async (): Promise<void> => {
    await Promise.all([queries.invalidateQueries({ queryKey: ['alert'] }), queries.invalidateQueries({ queryKey: ['responses'] })])
  }
  const ask = (dry: boolean, whole: unknown) =>
    client.respond({ host: host.id, action: w.action, args: whole, reason: reason.trim() || t('respond.looking'), dry_run: dry, ...(alert === undefined ? {} : { alert }) })
  const plan = useMutation({ mutationFn: () => ask(true, args) })
  const planned = useQuery({
    queryKey: ['responses', 'one', plan.data?.id],
    queryFn: () => client.response(plan.data?.id ?? ''),
    enabled: plan.data !== undefined,
    refetchInterval: (q) => (q.state.data && !['pending', 'sent'].includes(q.state.data.state) ? false : 1000),
  })
  const act = useMutation({
    // The host itself said which file it is; a path alone may be another one by now.
    mutationFn: () => ask(false, file ? planned.data?.args : args),
    onSuccess: async () => {
      onClose()
      await refresh()
    },
  })
  const online = host.status === 'online'
  useEffect(() => {
    if (file && online) plan.mutate()
  }, [])
  const known = planned.data?.state === 'planned'
  const ready = reason.trim() !== '' && (!file || known)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready) act.mutate()
  }
  const facts = (planned.data?.args ?? {}) as Record<string, unknown>
  return (
    <form onSubmit={submit} className="stack" style={{ gap: 14 }}>
      <p>{file ? t('respond.filetext') : t('respond.blocktext')}</p>
      <div className="fields">
        <Line name={t('panel.host')}><HostText text={host.hostname} /></Line>
        {w.action === 'quarantine_file' ? (
          <>
            <Line name={t('process.path')}><HostText text={w.path} mono /></Line>
            {known && typeof facts['sha256'] === 'string' && <Line name="SHA-256"><HostText text={facts['sha256']} mono /></Line>}
            {known && facts['inode'] !== undefined && <Line name={t('respond.inode')}><span className="mono">{String(facts['inode'])}</span></Line>}
          </>
        ) : (
          <>
            <Line name={t('respond.address')}><HostText text={w.address} mono /></Line>
            <Line name={t('respond.protocol')}><HostText text={w.protocol} mono /></Line>
            {w.process && <Line name={t('process.name')}><HostText text={w.process.name} mono /></Line>}
          </>
        )}
      </div>
      {!file && (
        <div className="row" style={{ gap: 12 }}>
          {w.port > 0 && (
            <Select className="grow" label={t('respond.ports')} value={anyPort} onChange={(v) => setAnyPort(v ?? 'port')} allowDeselect={false}
              data={[{ value: 'port', label: t('respond.port', { n: String(w.port) }) }, { value: 'any', label: t('respond.anyport') }]} />
          )}
          <Select className="grow" label={t('respond.howlong')} value={seconds} onChange={(v) => setSeconds(v ?? '3600')} allowDeselect={false}
            data={durations.map((d) => ({ value: d, label: word('respond.duration', d) }))} />
        </div>
      )}
      {!online && <Notice kind="warn">{file ? t('respond.fileaway') : t('kill.away', { status: word('host.status', host.status) })}</Notice>}
      <Textarea label={t('kill.reason')} description={t('kill.reasonwhy')} value={reason} onChange={(e) => setReason(e.currentTarget.value)}
        required withAsterisk={false} maxLength={500} autosize minRows={2} maxRows={6} data-autofocus />
      {planned.data && (
        <Notice kind={planned.data.error ? 'bad' : 'info'}>
          <span className="row wrap"><ResponseBadge state={planned.data.state} /><HostText text={planned.data.error || planned.data.plan || t('kill.asking')} /></span>
        </Notice>
      )}
      {(act.isError || plan.isError) && <Failure error={act.error ?? plan.error} />}
      <div className="row">
        <Button variant="default" loading={plan.isPending} onClick={() => plan.mutate()}>{t('kill.dryrun')}</Button>
        <span className="grow" />
        <Button variant="default" onClick={onClose}>{t('cancel')}</Button>
        <Button type="submit" color="red.8" loading={act.isPending} disabled={!ready}>{file ? t('respond.quarantine') : t('respond.block')}</Button>
      </div>
    </form>
  )
}
