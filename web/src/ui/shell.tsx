import { Menu, useMantineColorScheme } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { NavLink, Link, useNavigate } from 'react-router'
import { followFleet } from '../api/live'
import type { StreamState } from '../api/stream'
import { languages, setLanguage, t, useLanguage, word, type Key, type Language } from '../i18n'
import { useClient, useMe, useSignOut } from '../session'
import { Icon, type IconName } from './icons'
import { Logo } from './logo'
import { HostText } from './text'

interface Entry {
  to: string
  icon: IconName
  label: Key
  right?: string
}

const watch: Entry[] = [
  { to: '/', icon: 'overview', label: 'nav.overview' },
  { to: '/alerts', icon: 'alerts', label: 'nav.alerts' },
  { to: '/events', icon: 'events', label: 'nav.events' },
  { to: '/hosts', icon: 'hosts', label: 'nav.hosts' },
  { to: '/groups', icon: 'groups', label: 'nav.groups' },
  { to: '/queries', icon: 'query', label: 'nav.queries' },
  { to: '/responses', icon: 'responses', label: 'nav.responses' },
]
const content: Entry[] = [
  { to: '/rules', icon: 'rules', label: 'nav.rules' },
  { to: '/packs', icon: 'packs', label: 'nav.packs' },
]
const admin: Entry[] = [
  { to: '/users', icon: 'users', label: 'nav.users', right: 'users' },
  { to: '/audit', icon: 'audit', label: 'nav.audit', right: 'audit' },
  { to: '/settings', icon: 'settings', label: 'nav.settings', right: 'settings' },
]

export function Shell({ children }: { children: ReactNode }): ReactNode {
  const me = useMe()
  const queries = useQueryClient()
  const [live, setLive] = useState<StreamState>('connecting')
  useEffect(() => followFleet(queries, setLive), [queries])
  const allowed = admin.filter((e) => !e.right || (me.rights ?? []).includes(e.right))
  return (
    <div className="shell">
      <a href="#main" className="skip">
        {t('nav.skip')}
      </a>
      <nav className="nav" aria-label={t('nav.label')}>
        <Link to="/" className="brand" aria-label={t('nav.home')}>
          <Logo />
          <span>edr</span>
        </Link>
        <Links entries={watch} />
        <div className="group">{t('nav.group.content')}</div>
        <Links entries={content} />
        {allowed.length > 0 && <div className="group">{t('nav.group.server')}</div>}
        <Links entries={allowed} />
        <div className="gap" />
        <LiveState state={live} />
        <UserMenu />
      </nav>
      <main className="main" id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  )
}

function Links({ entries }: { entries: Entry[] }): ReactNode {
  return entries.map((e) => (
    <NavLink key={e.to} to={e.to} end={e.to === '/'} className="link" title={t(e.label)}>
      <Icon name={e.icon} />
      <span className="label">{t(e.label)}</span>
      {e.to === '/alerts' && <OpenAlerts />}
    </NavLink>
  ))
}

function OpenAlerts(): ReactNode {
  const client = useClient()
  const overview = useQuery({ queryKey: ['overview', '24h'], queryFn: () => client.overview('24h'), refetchInterval: 30_000 })
  const open = Object.values(overview.data?.alerts.open_by_severity ?? {}).reduce((a, b) => a + b, 0)
  if (open === 0) return null
  return (
    <span className="bubble">
      {open > 999 ? '999+' : open}
      <span className="sr"> {t('nav.open')}</span>
    </span>
  )
}

function LiveState({ state }: { state: StreamState }): ReactNode {
  const kind = state === 'open' ? 'ok' : 'warn'
  const text = t(`live.${state}`)
  return (
    <div className="live" role="status" title={text}>
      <span className={`dot ${kind}`} />
      <span className="label">{text}</span>
    </div>
  )
}

function UserMenu(): ReactNode {
  const me = useMe()
  const signOut = useSignOut()
  const navigate = useNavigate()
  const { colorScheme, setColorScheme } = useMantineColorScheme()
  const language = useLanguage()
  const schemes = ['light', 'dark', 'auto'] as const
  return (
    <Menu position="right-end" width={210} withinPortal shadow="md">
      <Menu.Target>
        <button type="button" className="userbutton" title={t('user.menu')}>
          <span className="avatar" aria-hidden="true">{me.name.slice(0, 2)}</span>
          <span className="who grow">
            <span className="clip" style={{ display: 'block' }}>
              <HostText text={me.name} line />
            </span>
            <span style={{ fontSize: 12, opacity: 0.85 }}>{word('role', me.role)}</span>
          </span>
        </button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('theme.label')}</Menu.Label>
        {schemes.map((s) => (
          <Menu.Item
            key={s}
            onClick={() => setColorScheme(s)}
            rightSection={colorScheme === s ? <Icon name="check" size={14} /> : null}
          >
            {t(`theme.${s}`)}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Label>{t('language.label')}</Menu.Label>
        {(Object.keys(languages) as Language[]).map((l) => (
          <Menu.Item key={l} lang={l === 'zh' ? 'zh-Hans' : l} onClick={() => setLanguage(l)} rightSection={language === l ? <Icon name="check" size={14} /> : null}>
            {languages[l]}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item onClick={() => void navigate('/password')}>{t('password.change')}</Menu.Item>
        <Menu.Item onClick={() => void signOut()}>{t('signout')}</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  )
}
