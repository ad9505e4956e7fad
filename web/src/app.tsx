import { lazy, Suspense, type ReactNode } from 'react'
import { Link, Route, Routes } from 'react-router'
import { t } from './i18n'
import { AlertsPage } from './pages/alerts'
import { AuditPage } from './pages/audit'
import { EventsPage } from './pages/events'
import { GroupPage } from './pages/group'
import { NewGroupPage } from './pages/groupform'
import { GroupsPage } from './pages/groups'
import { HostPage } from './pages/host'
import { HostsPage } from './pages/hosts'
import { LoginPage } from './pages/login'
import { OverviewPage } from './pages/overview'
import { PacksPage } from './pages/packs'
import { PasswordPage } from './pages/password'
import { ResponsesPage } from './pages/responsetable'
import { RulesPage } from './pages/rules'
import { SettingsPage } from './pages/settings'
import { UsersPage } from './pages/users'
import { MeProvider, useMeQuery } from './session'
import { Empty, Failure, Loading } from './ui/parts'
import { Shell } from './ui/shell'

// The editor is the largest part of the console; only these pages pay for it.
const QueriesPage = lazy(() => import('./pages/queries'))
const RuleEditPage = lazy(() => import('./pages/ruleedit'))
const PackEditPage = lazy(() => import('./pages/packedit'))

export function App(): ReactNode {
  const me = useMeQuery()
  if (me.isPending) return null
  if (me.isError) {
    return (
      <div style={{ padding: 24 }}>
        <Failure error={me.error} retry={() => void me.refetch()} />
      </div>
    )
  }
  if (me.data === null) return <LoginPage />
  if (me.data.must_change_password) {
    return (
      <MeProvider me={me.data}>
        <PasswordPage forced />
      </MeProvider>
    )
  }
  return (
    <MeProvider me={me.data}>
      <Shell>
        <Suspense fallback={<Loading />}>
          <Routes>
            <Route path="/" element={<OverviewPage />} />
            <Route path="/alerts/:id?" element={<AlertsPage />} />
            <Route path="/events" element={<EventsPage />} />
            <Route path="/hosts" element={<HostsPage />} />
            <Route path="/hosts/:id" element={<HostPage />} />
            <Route path="/groups" element={<GroupsPage />} />
            <Route path="/groups/new" element={<NewGroupPage />} />
            <Route path="/groups/:name" element={<GroupPage />} />
            <Route path="/queries/:id?" element={<QueriesPage />} />
            <Route path="/responses" element={<ResponsesPage />} />
            <Route path="/rules" element={<RulesPage />} />
            <Route path="/rules/new" element={<RuleEditPage />} />
            <Route path="/rules/edit/:id" element={<RuleEditPage />} />
            <Route path="/packs" element={<PacksPage />} />
            <Route path="/packs/new" element={<PackEditPage />} />
            <Route path="/packs/edit/:name" element={<PackEditPage />} />
            <Route path="/users" element={<UsersPage />} />
            <Route path="/settings" element={<SettingsPage />} />
            <Route path="/audit" element={<AuditPage />} />
            <Route path="/password" element={<PasswordPage />} />
            <Route
              path="*"
              element={
                <div className="page">
                  <Empty title={t('notfound.title')} icon="search">
                    <p>{t('notfound.text')}</p>
                    <Link to="/">{t('nav.overview')}</Link>
                  </Empty>
                </div>
              }
            />
          </Routes>
        </Suspense>
      </Shell>
    </MeProvider>
  )
}
