import { Button, Checkbox, Modal, PasswordInput, Select, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { dataClasses, roles, type Role, type User } from '../api/types'
import { t, word } from '../i18n'
import { useClient, useLacks, useMe } from '../session'
import { CodeBox, Empty, Failure, Loading, Notice, Time, useTitle } from '../ui/parts'
import { everybody, GroupSelect, TargetTags, useGroupsKnown } from '../ui/targets'
import { HostText } from '../ui/text'
import { leastPassword } from './password'

type Dialog = { kind: 'new' } | { kind: 'edit' | 'token' | 'remove'; user: User } | null

export function UsersPage(): ReactNode {
  useTitle(t('nav.users'))
  const client = useClient()
  const me = useMe()
  const lacks = useLacks('users')
  const [dialog, setDialog] = useState<Dialog>(null)
  const list = useQuery({ queryKey: ['users'], queryFn: client.users, enabled: lacks === null })
  const users = list.data?.users ?? []
  const close = (): void => setDialog(null)
  if (lacks) return <div className="page"><div className="card"><Empty title={t('users.lacking')} icon="users"><p>{lacks}</p></Empty></div></div>
  return (
    <div className="page">
      <div className="pagehead">
        <div>
          <h1>{t('nav.users')}</h1>
          <div className="sub">{t('users.sub')}</div>
        </div>
        <div className="actions"><Button size="xs" onClick={() => setDialog({ kind: 'new' })}>{t('users.new')}</Button></div>
      </div>
      {list.isError && <Failure error={list.error} retry={() => void list.refetch()} />}
      <div className="card">
        {list.isPending && <Loading />}
        {users.length > 0 && (
          <div className="tablewrap">
            <table className="list">
              <thead><tr><th>{t('users.name')}</th><th>{t('users.role')}</th><th>{t('users.classes')}</th><th>{t('nav.groups')}</th><th>{t('users.lastlogin')}</th><th className="right">{t('users.tokens')}</th><th /></tr></thead>
              <tbody>
                {users.map((u) => (
                  <tr key={u.name}>
                    <td><b><HostText text={u.name} line /></b> {u.name === me.name && <span className="tag info">{t('users.you')}</span>} {u.disabled && <span className="tag">{t('users.disabled')}</span>}</td>
                    <td>{word('role', u.role)}</td>
                    <td><span className="row wrap" style={{ gap: 4 }}>{(u.classes ?? []).map((c) => <span key={c} className={`tag ${c === 'secret' ? 'warn' : ''}`}>{word('class', c)}</span>)}</span></td>
                    <td><TargetTags targets={u.groups} /></td>
                    <td><Time at={u.last_login} /></td>
                    <td className="right num">{u.tokens ?? 0}</td>
                    <td className="right nowrap">
                      <Button size="compact-xs" variant="default" onClick={() => setDialog({ kind: 'edit', user: u })}>{t('users.edit')}</Button>{' '}
                      <Button size="compact-xs" variant="default" onClick={() => setDialog({ kind: 'token', user: u })}>{t('users.token')}</Button>{' '}
                      <Button size="compact-xs" variant="default" disabled={u.name === me.name} onClick={() => setDialog({ kind: 'remove', user: u })}>{t('users.remove')}</Button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </div>
      <Modal opened={dialog !== null} onClose={close} title={dialog ? t(`users.dialog.${dialog.kind}`) : ''} closeButtonProps={{ 'aria-label': t('close') }}>
        {dialog?.kind === 'new' && <Form onDone={close} />}
        {dialog?.kind === 'edit' && <Form user={dialog.user} onDone={close} />}
        {dialog?.kind === 'token' && <Token user={dialog.user} />}
        {dialog?.kind === 'remove' && <Remove user={dialog.user} onDone={close} />}
      </Modal>
    </div>
  )
}

function Form({ user, onDone }: { user?: User; onDone: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const [name, setName] = useState(user?.name ?? '')
  const [password, setPassword] = useState('')
  const [role, setRole] = useState<Role>(user?.role ?? 'analyst')
  const [classes, setClasses] = useState<string[]>(user?.classes ?? ['inventory', 'network'])
  const [groups, setGroups] = useState<string[]>(user?.groups ?? [everybody])
  // A server without groups refuses a field that it does not know.
  const grouped = useGroupsKnown()
  const save = useMutation({
    mutationFn: () =>
      user
        ? client.changeUser(user.name, { role, classes, ...(grouped ? { groups } : {}), ...(password ? { password } : {}) })
        : client.createUser({ name, password, role, classes, ...(grouped ? { groups } : {}) }),
    onSuccess: async () => {
      onDone()
      await queries.invalidateQueries({ queryKey: ['users'] })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit} className="stack" style={{ gap: 13 }}>
      <TextInput label={t('users.name')} value={name} onChange={(e) => setName(e.currentTarget.value)} required withAsterisk={false} disabled={user !== undefined} autoComplete="off" />
      <PasswordInput label={user ? t('users.newpassword') : t('login.password')} description={user ? t('users.passwordkeep') : t('users.passwordfirst', { n: leastPassword })}
        value={password} minLength={leastPassword} required={!user} withAsterisk={false} autoComplete="new-password" onChange={(e) => setPassword(e.currentTarget.value)} />
      <Select label={t('users.role')} description={t(`users.role.${role}`)} value={role} allowDeselect={false} data={roles.map((r) => ({ value: r, label: word('role', r) }))}
        onChange={(v) => setRole((v ?? 'analyst') as Role)} />
      <Checkbox.Group label={t('users.classes')} description={t('users.classestext')} value={classes} onChange={setClasses}>
        <div className="row wrap" style={{ marginTop: 8, gap: 14 }}>{dataClasses.map((c) => <Checkbox key={c} size="xs" value={c} label={word('class', c)} />)}</div>
      </Checkbox.Group>
      {grouped && <GroupSelect label={t('users.groups')} description={t('users.groupstext')} value={groups} onChange={setGroups} />}
      {save.isError && <Failure error={save.error} />}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={onDone}>{t('cancel')}</Button>
        <Button type="submit" loading={save.isPending}>{t('save')}</Button>
      </div>
    </form>
  )
}

function Token({ user }: { user: User }): ReactNode {
  const client = useClient()
  const make = useMutation({ mutationFn: () => client.createToken(user.name) })
  return (
    <div className="stack" style={{ gap: 13 }}>
      <p>{t('users.tokentext', { name: user.name })}</p>
      {make.data && <><CodeBox text={make.data.token} /><Notice kind="warn">{t('users.tokenonce')}</Notice></>}
      {make.isError && <Failure error={make.error} />}
      {!make.data && <div><Button loading={make.isPending} onClick={() => make.mutate()}>{t('users.maketoken')}</Button></div>}
    </div>
  )
}

function Remove({ user, onDone }: { user: User; onDone: () => void }): ReactNode {
  const client = useClient()
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => client.removeUser(user.name),
    onSuccess: async () => {
      onDone()
      await queries.invalidateQueries({ queryKey: ['users'] })
    },
  })
  return (
    <div className="stack" style={{ gap: 13 }}>
      <p>{t('users.removetext')} <b><HostText text={user.name} most={80} /></b></p>
      {remove.isError && <Failure error={remove.error} />}
      <div className="row" style={{ justifyContent: 'flex-end' }}>
        <Button variant="default" onClick={onDone}>{t('cancel')}</Button>
        <Button color="red.8" loading={remove.isPending} onClick={() => remove.mutate()}>{t('users.remove')}</Button>
      </div>
    </div>
  )
}
