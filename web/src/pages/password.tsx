import { Button, PasswordInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { useNavigate } from 'react-router'
import { t } from '../i18n'
import { become, useClient, useSignOut } from '../session'
import { Logo } from '../ui/logo'
import { Failure, Notice, useTitle } from '../ui/parts'

export const leastPassword = 10

export function PasswordPage({ forced }: { forced?: boolean }): ReactNode {
  useTitle(t('password.change'))
  const client = useClient()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const signOut = useSignOut()
  const [old, setOld] = useState('')
  const [fresh, setFresh] = useState('')
  const [again, setAgain] = useState('')
  const change = useMutation({
    mutationFn: () => client.changePassword(old, fresh),
    onSuccess: (me) => {
      become(queries, me)
      void navigate('/')
    },
  })
  const differs = again !== '' && again !== fresh
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (fresh === again) change.mutate()
  }
  return (
    <div className={forced ? 'login' : 'page'}>
      <form className="card loginbox" onSubmit={submit}>
        <div className="row" style={{ gap: 12 }}>
          {forced && <Logo size={34} />}
          <h1>{t('password.change')}</h1>
        </div>
        {forced && <Notice>{t('password.forced')}</Notice>}
        <PasswordInput label={t('password.old')} autoComplete="current-password" value={old} required withAsterisk={false}
          onChange={(e) => setOld(e.currentTarget.value)} />
        <PasswordInput label={t('password.new')} description={t('password.rule', { n: leastPassword })} autoComplete="new-password"
          minLength={leastPassword} value={fresh} required withAsterisk={false} onChange={(e) => setFresh(e.currentTarget.value)} />
        <PasswordInput label={t('password.again')} autoComplete="new-password" value={again} required withAsterisk={false}
          error={differs ? t('password.differs') : undefined} onChange={(e) => setAgain(e.currentTarget.value)} />
        {change.isError && <Failure error={change.error} />}
        <div className="row" style={{ justifyContent: 'flex-end' }}>
          <Button variant="default" onClick={() => (forced ? void signOut() : void navigate(-1))}>
            {forced ? t('signout') : t('cancel')}
          </Button>
          <Button type="submit" loading={change.isPending} disabled={fresh === '' || fresh !== again}>
            {t('password.change')}
          </Button>
        </div>
      </form>
    </div>
  )
}
