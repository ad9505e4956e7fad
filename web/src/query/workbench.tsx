import { Button, NumberInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import type { Host, Query } from '../api/types'
import { t } from '../i18n'
import { useClient, useLacks } from '../session'
import { Icon } from '../ui/icons'
import { Failure, Why } from '../ui/parts'
import { Editor, type EditorHandle } from './editor'
import { Results } from './results'
import { SchemaPane } from './schema'
import { chosen, Targets, type Target } from './targets'

interface Props {
  id: string | undefined
  /** Where the workbench stands on the page of one host. */
  host?: Host
  first?: { sql?: string; target?: Target }
  onOpen: (id: string) => void
  children?: ReactNode
}

const firstSQL = 'SELECT pid, name, path, cmdline FROM processes'
const defaults = { deadline: 60, rows: 10_000 }

/** Editor, schema, targets and results of a live query. */
export default function Workbench({ id, host, first, onOpen, children }: Props): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('query')
  const editor = useRef<EditorHandle>(null)
  const [sql, setSQL] = useState(first?.sql ?? (id ? '' : firstSQL))
  const [target, setTarget] = useState<Target>(host ? { all: false, hosts: [chosen(host)] } : (first?.target ?? { all: true }))
  const [deadline, setDeadline] = useState<number | string>(defaults.deadline)
  const [cap, setCap] = useState<number | string>(defaults.rows)
  const tables = useQuery({ queryKey: ['tables'], queryFn: client.tables, staleTime: Infinity })
  const stored = useQuery({ queryKey: ['query', id], queryFn: () => client.query(id ?? ''), enabled: id !== undefined })

  // A link brings its own SQL and targets; what is being typed is not overwritten.
  const shownFor = useRef<string | null>(null)
  useEffect(() => {
    const q = stored.data
    if (!q || shownFor.current === q.id) return
    shownFor.current = q.id
    setSQL(q.sql)
    if (!host) setTarget(targetOf(q))
  }, [stored.data, host])

  const ask = useMutation({
    mutationFn: () =>
      client.ask({
        sql,
        ...(target.all ? { all: true } : target.groups ? { groups: target.groups } : { hosts: target.hosts.map((h) => h.id) }),
        deadline_s: Number(deadline) || defaults.deadline,
        max_rows: Number(cap) || defaults.rows,
      }),
    onSuccess: (q) => {
      shownFor.current = q.id
      queries.setQueryData(['query', q.id], q)
      void queries.invalidateQueries({ queryKey: ['queries'] })
      onOpen(q.id)
    },
  })
  const nobody = !target.all && target.hosts.length === 0 && (target.groups ?? []).length === 0
  const reason = lacks ?? (nobody ? t('query.nobody') : sql.trim() === '' ? t('query.nosql') : null)
  const run = (): void => {
    editor.current?.settle()
    if (reason === null && !ask.isPending) ask.mutate()
  }
  return (
    <div className="bench">
      <SchemaPane tables={tables.data} onInsert={(text) => editor.current?.insert(text)} onExample={(text) => { setSQL(text); editor.current?.focus() }} />
      <div className="work">
        <div className="card editor">
          <Editor ref={editor} value={sql} onChange={setSQL} onRun={run} tables={tables.data} />
          <div className="runbar">
            <Why reason={reason}>
              <Button size="xs" onClick={run} loading={ask.isPending} disabled={reason !== null} leftSection={<Icon name="play" size={13} />} title={t('query.runkey')}>
                {t('query.run')}
              </Button>
            </Why>
            {!host && <Targets value={target} onChange={setTarget} />}
            <span className="grow" />
            <label className="inline">{t('query.deadline')}
              <NumberInput size="xs" w={74} min={1} max={3600} allowDecimal={false} value={deadline} onChange={setDeadline} suffix=" s" hideControls aria-label={t('query.deadline')} />
            </label>
            <label className="inline">{t('query.cap')}
              <NumberInput size="xs" w={88} min={1} max={1_000_000} allowDecimal={false} value={cap} onChange={setCap} thousandSeparator="," hideControls aria-label={t('query.cap')} />
            </label>
          </div>
        </div>
        {ask.isError && <Failure error={ask.error} />}
        {id ? <Results key={id} id={id} /> : children}
      </div>
    </div>
  )
}

function targetOf(q: Query): Target {
  const hosts = q.hosts ?? []
  if (hosts.length === 0 || hosts.length > 200) return { all: true }
  return {
    all: false,
    hosts: hosts.map((h) => ({ id: h.id, hostname: h.hostname, status: h.state === 'offline' ? 'offline' : 'online' })),
  }
}
