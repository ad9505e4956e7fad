import { Button, Modal, NumberInput, Select, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { t, tn } from '../i18n'
import { useClient } from '../session'
import { CodeBox, CopyButton, Failure, Notice, Time } from '../ui/parts'
import { HostText } from '../ui/text'

/**
 * The server's command reads the token from a file, so that no list of
 * processes shows it. Writing that file is made part of what is pasted; printf
 * is the shell's own and starts no process either.
 */
export function oneCommand({ token, command }: { token: string; command: string }): string {
  const file = /-enroll-file (\S+)/.exec(command)?.[1]
  if (!file || !/^[\w./-]+$/.test(file) || !/^[\w.:@/+=~-]+$/.test(token)) return command
  return `(umask 077; printf '%s\\n' '${token}' > ${file}) && ${command}`
}

const hours = ['1', '24', '168', '720']

/** Makes a token, and shows the one command that joins a machine with it. */
export function EnrolForm(): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [note, setNote] = useState('')
  const [valid, setValid] = useState('24')
  const [uses, setUses] = useState<number | string>(1)
  const make = useMutation({
    mutationFn: () => client.createEnrolment({ note, expires_in_s: Number(valid) * 3600, uses: Number(uses) || 1 }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['enrolments'] }),
  })
  if (make.data) {
    return (
      <div className="stack enrolled" style={{ gap: 12 }}>
        <h3>{t('enrol.run')}</h3>
        <CodeBox text={oneCommand(make.data)} />
        <dl className="facts"><dt>{t('enrol.token')}</dt><dd className="row"><HostText text={make.data.token} mono most={40} /><CopyButton text={make.data.token} /></dd></dl>
        <Notice kind="warn">
          {t('enrol.once')} <Time at={make.data.expires_at} />.
        </Notice>
        <p className="dim">{t('enrol.appears')}</p>
        <div>
          <Button variant="default" size="xs" onClick={() => make.reset()}>{t('enrol.another')}</Button>
        </div>
      </div>
    )
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    make.mutate()
  }
  return (
    <form onSubmit={submit} className="stack" style={{ gap: 12 }}>
      <TextInput label={t('enrol.note')} placeholder={t('enrol.noteplaceholder')} value={note} maxLength={200}
        onChange={(e) => setNote(e.currentTarget.value)} data-autofocus />
      <div className="row" style={{ alignItems: 'flex-end', gap: 12 }}>
        <Select className="grow" label={t('enrol.valid')} value={valid} allowDeselect={false} onChange={(v) => setValid(v ?? '24')}
          data={hours.map((h) => ({ value: h, label: Number(h) < 48 ? tn('enrol.hours', Number(h)) : tn('enrol.days', Number(h) / 24) }))} />
        <NumberInput className="grow" label={t('enrol.uses')} min={1} max={100000} allowDecimal={false} value={uses} onChange={setUses} />
      </div>
      {make.isError && <Failure error={make.error} />}
      <div>
        <Button type="submit" loading={make.isPending}>{t('enrol.make')}</Button>
      </div>
    </form>
  )
}

export function EnrolDialog({ open, onClose }: { open: boolean; onClose: () => void }): ReactNode {
  return (
    <Modal opened={open} onClose={onClose} title={t('hosts.enrol')} size="lg" closeButtonProps={{ 'aria-label': t('close') }}>
      <div className="stack" style={{ gap: 18 }}>
        <EnrolForm />
        <Tokens />
      </div>
    </Modal>
  )
}

function Tokens(): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const list = useQuery({ queryKey: ['enrolments'], queryFn: client.enrolments })
  const remove = useMutation({
    mutationFn: client.removeEnrolment,
    onSettled: () => queries.invalidateQueries({ queryKey: ['enrolments'] }),
  })
  const tokens = list.data?.enrolments ?? []
  if (tokens.length === 0) return list.isError ? <Failure error={list.error} /> : null
  return (
    <section className="stack">
      <h3>{t('enrol.tokens')}</h3>
      {remove.isError && <Failure error={remove.error} />}
      <div className="tablewrap" style={{ maxHeight: 220 }}>
        <table className="list">
          <thead>
            <tr><th>{t('enrol.note')}</th><th>{t('enrol.used')}</th><th>{t('enrol.expires')}</th><th /></tr>
          </thead>
          <tbody>
            {tokens.map((e) => (
              <tr key={e.id}>
                <td>{e.note ? <HostText text={e.note} most={80} /> : <span className="dim">–</span>}</td>
                <td className="num nowrap">{e.used ?? 0} / {e.uses ? e.uses : '∞'}</td>
                <td><Time at={e.expires_at} /></td>
                <td className="right">
                  <Button size="compact-xs" variant="default" loading={remove.isPending && remove.variables === e.id}
                    onClick={() => remove.mutate(e.id)}>{t('enrol.revoke')}</Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
