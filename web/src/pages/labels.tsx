import { Button, TagsInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Link } from 'react-router'
import type { Host } from '../api/types'
import { t } from '../i18n'
import { useClient, useLacks } from '../session'
import { Failure } from '../ui/parts'
import { HostText } from '../ui/text'

/** The labels of a host, which operators set and the host itself cannot. */
export function Labels({ host: h }: { host: Host }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const lacks = useLacks('hosts')
  const [editing, setEditing] = useState(false)
  const [labels, setLabels] = useState<string[]>(h.labels ?? [])
  const save = useMutation({
    mutationFn: () => client.setLabels(h.id, labels),
    onSuccess: async () => {
      for (const key of ['host', 'hosts', 'groups', 'group']) await queries.invalidateQueries({ queryKey: [key] })
      setEditing(false)
    },
  })
  if (editing) {
    return (
      <div className="stack">
        <TagsInput size="xs" aria-label={t('host.labels')} value={labels} onChange={setLabels} maxTags={64} placeholder={t('host.newlabel')} splitChars={[',', ' ']} />
        {save.isError && <Failure error={save.error} />}
        <div className="row">
          <Button size="compact-xs" loading={save.isPending} onClick={() => save.mutate()}>{t('save')}</Button>
          <Button size="compact-xs" variant="default" onClick={() => setEditing(false)}>{t('cancel')}</Button>
        </div>
      </div>
    )
  }
  return (
    <span className="row wrap" style={{ gap: 4 }}>
      {(h.labels ?? []).map((l) => <Link key={l} className="tag" to={`/hosts?label=${encodeURIComponent(l)}`}><HostText text={l} line /></Link>)}
      {(h.labels ?? []).length === 0 && <span className="dim">–</span>}
      {!lacks && <button type="button" className="linkbutton" onClick={() => { save.reset(); setLabels(h.labels ?? []); setEditing(true) }}>{t('host.editlabels')}</button>}
    </span>
  )
}
