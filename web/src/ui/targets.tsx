import { MultiSelect } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { t } from '../i18n'
import { useClient } from '../session'
import { HostText } from './text'

export const everybody = 'all'

/** Names of the groups, with the built-in one first; only that one where the server has none. */
export function useGroupNames(enabled = true): string[] {
  const client = useClient()
  const groups = useQuery({ queryKey: ['groups'], queryFn: client.groups, enabled, retry: false })
  const names = (groups.data?.groups ?? []).map((g) => g.name).filter((n) => n !== everybody)
  return [everybody, ...names.toSorted()]
}

/** Whether the server has groups at all. */
export function useGroupsKnown(): boolean {
  const client = useClient()
  return useQuery({ queryKey: ['groups'], queryFn: client.groups, retry: false }).data !== undefined
}

/** The groups that something is given to. To all hosts means to no group beside. */
export function GroupSelect({ value, onChange, label, description, disabled, size }: {
  value: string[]
  onChange: (groups: string[]) => void
  label?: string
  description?: string
  disabled?: boolean
  size?: string
}): ReactNode {
  const names = useGroupNames()
  const options = [...new Set([...names, ...value])]
  const set = (next: string[]): void => {
    const added = next.find((n) => !value.includes(n))
    if (added === everybody) onChange([everybody])
    else onChange(next.length > 1 ? next.filter((n) => n !== everybody) : next)
  }
  return (
    <MultiSelect size={size} label={label} description={description} aria-label={label ?? t('groups.targets')} value={value} onChange={set} disabled={disabled}
      data={options.map((n) => ({ value: n, label: n === everybody ? t('groups.all') : n }))} hidePickedOptions clearable={false} searchable
      placeholder={value.length === 0 ? t('groups.nobody') : undefined} comboboxProps={{ withinPortal: true }} />
  )
}

export function TargetTags({ targets }: { targets: string[] | null | undefined }): ReactNode {
  const list = targets ?? [everybody]
  if (list.length === 0) return <span className="tag warn">{t('groups.nobody')}</span>
  return (
    <span className="row wrap" style={{ gap: 4 }}>
      {list.map((n) => n === everybody ? <span key={n} className="dim nowrap">{t('groups.all')}</span> : <span key={n} className="tag"><HostText text={n} line /></span>)}
    </span>
  )
}
