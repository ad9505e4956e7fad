import { Button, PasswordInput, TextInput } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type FormEvent, type ReactNode } from 'react'
import { ApiError } from '../api/client'
import { t } from '../i18n'
import { become, useClient } from '../session'
import { Logo } from '../ui/logo'
import { LanguageSelect } from '../ui/language'
import { errorText, Notice, useTitle } from '../ui/parts'

export function LoginPage(): ReactNode {
  useTitle(t('login.title'))
  const client = useClient()
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [busy, setBusy] = useState(false)
  const [wait, setWait] = useState(0)

  useEffect(() => {
    if (wait <= 0) return
    const timer = setTimeout(() => setWait(wait - 1), 1000)
    return () => clearTimeout(timer)
  }, [wait])

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      const me = await client.login(name, password)
      become(queries, me)
    } catch (e) {
      setError(e)
      if (e instanceof ApiError && e.status === 429) setWait(Math.min(e.retryAfter ?? 30, 3600))
      setPassword('')
    } finally {
      setBusy(false)
    }
  }

  return (
    <main className="login">
      <form className="card loginbox" onSubmit={(e) => void submit(e)}>
        <div className="row" style={{ gap: 12, marginBottom: 6 }}>
          <Logo size={38} />
          <div>
            <h1>{t('login.heading')}</h1>
            <div className="dim">{t('login.sub')}</div>
          </div>
        </div>
        <TextInput
          label={t('login.name')}
          name="name"
          autoComplete="username"
          value={name}
          onChange={(e) => setName(e.currentTarget.value)}
          required
          withAsterisk={false}
          autoFocus
          autoCapitalize="none"
          spellCheck={false}
        />
        <PasswordInput
          label={t('login.password')}
          name="password"
          autoComplete="current-password"
          value={password}
          onChange={(e) => setPassword(e.currentTarget.value)}
          required
          withAsterisk={false}
        />
        <div aria-live="polite" style={{ minHeight: 42 }}>
          {error !== null && <Notice kind="bad">{loginError(error, wait)}</Notice>}
        </div>
        <Button type="submit" loading={busy} disabled={wait > 0} fullWidth>
          {wait > 0 ? t('login.wait', { n: wait }) : t('login.submit')}
        </Button>
        <p className="dim" style={{ fontSize: 12.5 }}>
          {t('login.help')}
        </p>
        <div className="userlang"><LanguageSelect /></div>
      </form>
    </main>
  )
}

function loginError(error: unknown, wait: number): ReactNode {
  if (error instanceof ApiError) {
    if (error.status === 429) return wait > 0 ? t('login.throttled', { n: wait }) : t('login.again')
    if (error.status === 401) return t('login.wrong')
  }
  return errorText(error)
}
