import { Button, Modal } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { t } from '../i18n'
import { Failure, Why } from './parts'

interface Props {
  label: string
  title: string
  /** Says what is lost. */
  children: ReactNode
  /** Why it cannot be done now, if it cannot. */
  reason?: string | null
  act: () => Promise<unknown>
  onDone?: () => void
  size?: string
}

/** A button whose act is asked about before it is done. */
export function ConfirmButton({ label, title, children, reason = null, act, onDone, size = 'xs' }: Props): ReactNode {
  const [asking, setAsking] = useState(false)
  const run = useMutation({
    mutationFn: act,
    onSuccess: () => {
      setAsking(false)
      onDone?.()
    },
  })
  return (
    <>
      <Why reason={reason}>
        <Button size={size} variant="default" disabled={reason !== null} onClick={() => { run.reset(); setAsking(true) }}>{label}</Button>
      </Why>
      <Modal opened={asking} onClose={() => setAsking(false)} title={title} closeButtonProps={{ 'aria-label': t('close') }}>
        <div className="stack" style={{ gap: 14 }}>
          <div>{children}</div>
          {run.isError && <Failure error={run.error} />}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button variant="default" onClick={() => setAsking(false)}>{t('cancel')}</Button>
            <Button color="red.8" loading={run.isPending} onClick={() => run.mutate()}>{label}</Button>
          </div>
        </div>
      </Modal>
    </>
  )
}
