import { Button } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { t } from '../i18n'
import { stringify } from '../api/json'
import { useClient, useLacks } from '../session'
import { Empty, Failure, Loading, Time, useTitle } from '../ui/parts'
import { HostText } from '../ui/text'

const page = 100

export function AuditPage(): ReactNode {
  useTitle(t('nav.audit'))
  const client = useClient()
  const lacks = useLacks('audit')
  const list = useInfiniteQuery({
    queryKey: ['audit'],
    queryFn: ({ pageParam }) => client.audit({ limit: page, before: pageParam }),
    initialPageParam: '',
    getNextPageParam: (last) => {
      const entries = last.entries ?? []
      const final = entries.at(-1)
      return entries.length < page || !final ? undefined : String(final.id)
    },
    enabled: lacks === null,
  })
  const entries = list.data?.pages.flatMap((p) => p.entries ?? []) ?? []
  if (lacks) return <div className="page"><div className="card"><Empty title={t('audit.lacking')} icon="audit"><p>{lacks}</p></Empty></div></div>
  return (
    <div className="page" tabIndex={0}>
      <div className="pagehead">
        <div>
          <h1>{t('nav.audit')}</h1>
          <div className="sub">{t('audit.sub')}</div>
        </div>
      </div>
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      <div className="card">
        {list.isPending && <Loading lines={8} />}
        {list.data && entries.length === 0 && <Empty title={t('audit.none')} icon="audit" />}
        {entries.length > 0 && (
          <div className="tablewrap">
            <table className="list">
              <thead><tr><th>{t('audit.time')}</th><th>{t('audit.user')}</th><th>{t('audit.address')}</th><th>{t('audit.action')}</th><th>{t('audit.object')}</th><th>{t('audit.detail')}</th></tr></thead>
              <tbody>
                {entries.map((e) => (
                  <tr key={String(e.id)}>
                    <td className="top"><Time at={e.time} exact /></td>
                    <td className="top" style={{ maxWidth: 150 }}><HostText text={e.user} line /></td>
                    <td className="top" style={{ maxWidth: 180 }}><HostText text={e.address} mono line /></td>
                    <td className="top" style={{ maxWidth: 220 }}><HostText text={e.action} line /></td>
                    <td className="top" style={{ maxWidth: 240 }}>{e.object ? <HostText text={e.object} mono line /> : <span className="dim">–</span>}</td>
                    <td className="top"><Detail value={e.detail} /></td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {list.hasNextPage && (
          <div className="listfoot"><Button size="compact-sm" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>{t('list.more')}</Button></div>
        )}
      </div>
    </div>
  )
}

function Detail({ value }: { value: unknown }): ReactNode {
  if (value === null || value === undefined || value === '') return <span className="dim">–</span>
  return <HostText text={typeof value === 'string' ? value : stringify(value)} mono={typeof value !== 'string'} most={200} />
}
