import type { ReactNode } from 'react'
import { notThere } from '../api/client'
import { t } from '../i18n'
import { Empty, Failure } from './parts'

/**
 * An error of a whole page: where the server does not have what the page is
 * for, it says so calmly instead of as a failure.
 */
export function PageFailure({ error, retry }: { error: unknown; retry?: () => void }): ReactNode {
  if (!notThere(error)) return <Failure error={error} retry={retry} />
  return (
    <div className="card" data-unavailable>
      <Empty title={t('unavailable.title')} icon="info">
        <p>{t('unavailable.text')}</p>
      </Empty>
    </div>
  )
}
