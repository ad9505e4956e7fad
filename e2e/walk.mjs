// A walk through what people do in the console besides the first alert: each
// page once, with what it makes taken away again.
import assert from 'node:assert/strict'

/** Replaces the text of an editor. */
async function write(page, name, text) {
  const editor = page.getByRole('textbox', { name })
  await editor.click()
  await page.keyboard.press('Control+A')
  await page.keyboard.insertText(text)
}

/** Follows a link of the main navigation to its page. */
async function open(page, name) {
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name, exact: true }).click()
  await page.getByRole('heading', { level: 1 }).first().waitFor()
}

const ruleText = (field) => `id: e2e_walk
name: Made by the walk
description: A rule that finds nothing.
type: process
severity: low
conditions:
  - ${field} = 'no-program-has-this-name'
actions: [alert]
`

// As osquery reads it: comments, and a line that goes on.
const packText = `{
  // how long the machine has been up
  "queries": {
    "walk_uptime": {
      "query": "SELECT total_seconds \\
        FROM uptime;",
      "interval": 86400
    }
  }
}
`

/**
 * @param t      the test whose parts these are
 * @param tools  page, address of the console, name of the host, who walks, a
 *               text that must only ever be text, a text of the alert's hit,
 *               and what checks a page's accessibility
 */
export async function walk(t, { page, url, host, user, hostile, hit, accessible, complaints }) {
  const dialog = page.getByRole('dialog')
  const panel = (name) => page.getByRole('complementary', { name })

  await t.test('has a dashboard whose numbers lead on', async () => {
    await open(page, 'Overview')
    await page.locator('.chart a.bar').first().waitFor()
    await page.getByRole('heading', { name: 'Sensors of all hosts' }).waitFor()
    await page.locator('#sensors tbody tr').first().waitFor()
    await accessible('dashboard')
    await page.locator('.toplist a').first().click()
    await page.waitForURL(/technique=T/)
    await page.locator('a.alertrow').first().waitFor()
    await open(page, 'Overview')
    await page.locator('.chart a.bar').last().click()
    await page.waitForURL(/from=/)
    await page.locator('a.alertrow').first().waitFor()
    await accessible('alerts of one bar')
  })

  await t.test('assigns an alert, judges it and keeps notes', async () => {
    await page.goto(`${url}/alerts?status=all&q=${encodeURIComponent(hit)}`)
    await page.locator('a.alertrow', { hasText: hit }).first().click()
    const alert = panel('Alert')
    await alert.getByRole('combobox', { name: 'Assignee' }).click()
    await page.getByRole('option', { name: `${user} (me)` }).click()
    await page.locator('a.alertrow .tag', { hasText: user }).first().waitFor()
    await alert.getByRole('combobox', { name: 'Verdict' }).click()
    await page.getByRole('option', { name: 'True positive' }).click()
    await page.locator('a.alertrow .tag', { hasText: 'True positive' }).first().waitFor()
    await alert.getByLabel('Write a note').fill(`Seen by the walk ${hostile}`)
    await alert.getByRole('button', { name: 'Add note' }).click()
    await alert.locator('.note', { hasText: hostile }).waitFor()
    await accessible('triage')
  })

  await t.test('asks before it quarantines', async () => {
    await panel('Alert').getByRole('button', { name: 'Quarantine file' }).click()
    await dialog.getByRole('button', { name: 'Quarantine file' }).waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Quarantine file' }).isDisabled(), 'neither a reason nor the host’s answer is there')
    await accessible('quarantine')
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await dialog.waitFor({ state: 'hidden' })
  })

  await t.test('finds events and marks one as handled', async () => {
    await open(page, 'Events')
    await page.locator('.eventrow').first().waitFor()
    await page.getByLabel('Find in events').fill(hit)
    await page.waitForURL(/q=/)
    await page.getByText('Hit', { exact: true }).click()
    const row = page.locator('.eventrow', { hasText: hit }).first()
    await row.waitFor()
    await row.click()
    const event = panel('Event')
    await event.locator('.fields .field').first().waitFor()
    await event.getByLabel('Note on how it was handled').fill('The walk has seen it')
    await accessible('event')
    await event.getByRole('button', { name: 'Mark as handled' }).click()
    await event.getByText('Handled by').waitFor()
    await event.getByText('The walk has seen it').waitFor()
    await page.keyboard.press('Escape')
    await page.goto(`${url}/events?from=2001-01-01T00:00&to=2001-01-02T00:00`)
    await page.getByRole('heading', { name: 'No event matches' }).waitFor()
  })

  await t.test('labels a host, and groups it by label and by hand', async () => {
    await open(page, 'Hosts')
    await page.getByRole('link', { name: host, exact: true }).first().click()
    await page.getByRole('button', { name: 'Edit labels' }).click()
    await page.getByRole('combobox', { name: 'Labels' }).fill('walked')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('link', { name: 'walked' }).waitFor()

    await open(page, 'Groups')
    await page.getByRole('link', { name: 'New group' }).click()
    await page.getByLabel('Name', { exact: true }).fill('walk-label')
    await page.getByText('By conditions').click()
    await page.getByLabel('Value', { exact: true }).fill('walked')
    await page.getByText(/^1 host now/).waitFor()
    await accessible('new group')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('region', { name: 'Members' }).getByRole('link', { name: host }).waitFor()

    await open(page, 'Groups')
    await page.getByRole('link', { name: 'New group' }).click()
    await page.getByLabel('Name', { exact: true }).fill('walk-hand')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('button', { name: 'Add hosts' }).click()
    await dialog.getByRole('checkbox', { name: host }).check()
    await dialog.getByRole('button', { name: 'Add 1 host' }).click()
    await page.getByRole('region', { name: 'Members' }).getByRole('link', { name: host }).waitFor()
    await accessible('group')
  })

  await t.test('asks the hosts of a group', async () => {
    await page.getByRole('link', { name: 'Ask these hosts' }).click()
    await write(page, 'SQL', 'SELECT pid FROM processes WHERE pid = 1')
    await page.keyboard.press('Control+Enter')
    await page.waitForURL(/\/queries\/.+/)
    await page.locator('section[data-rows="1"] [data-query-state=done]').waitFor()
  })

  await t.test('writes a rule, and says where it is wrong', async () => {
    await open(page, 'Rules')
    await page.getByRole('link', { name: 'New rule' }).click()
    await write(page, 'Text of the rule', ruleText('nonsense'))
    const problems = page.locator('.problems')
    await problems.getByRole('button', { name: /nonsense/ }).first().waitFor()
    await page.locator('.cm-problem', { hasText: 'nonsense' }).waitFor()
    assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled(), 'what is wrong cannot be saved')
    await page.getByRole('complementary', { name: 'Fields' }).getByRole('button', { name: 'name', exact: true }).waitFor()
    await accessible('rule with a problem')
    await write(page, 'Text of the rule', ruleText('name'))
    await problems.getByText('In order: 1 rule').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    await page.waitForURL(/rules\?id=e2e_walk/)
    await dialog.getByRole('link', { name: 'Edit' }).click()
    await write(page, 'Text of the rule', ruleText('path'))
    await problems.getByText('In order: 1 rule').waitFor()
    await page.getByRole('button', { name: 'Save' }).click()
    await dialog.getByText("path = 'no-program-has-this-name'").waitFor()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('dialog', { name: 'Delete rule' }).getByRole('button', { name: 'Delete' }).click()
    await dialog.first().waitFor({ state: 'hidden' })
    await page.getByLabel('Find a rule').fill('e2e_walk')
    await page.getByRole('heading', { name: 'No rule matches' }).waitFor()
    await page.getByLabel('Find a rule').fill('')
    await page.locator('table.list tbody .main-link').first().click()
    await dialog.getByRole('link', { name: 'Copy' }).click()
    await problems.getByText('In order: 1 rule').waitFor()
  })

  await t.test('imports a pack of osquery’s, gives it to a group and drops it', async () => {
    await open(page, 'Packs')
    await page.getByRole('link', { name: 'Import a pack' }).click()
    await page.getByLabel('Name, where the text has none').fill('walk')
    await write(page, 'Text of the pack', packText)
    await page.locator('.problems').getByText(/In order: 1 pack/).waitFor()
    await accessible('import')
    await page.getByRole('button', { name: 'Import' }).click()
    const pack = page.getByRole('region', { name: 'walk', exact: true })
    await pack.getByText('walk_uptime').waitFor()
    await pack.getByRole('switch').click({ force: true })
    await pack.getByRole('switch', { checked: false }).waitFor({ state: 'attached' })
    await pack.getByRole('button', { name: 'Change who gets it' }).click()
    await pack.getByRole('combobox', { name: 'Given to' }).click()
    await page.getByRole('option', { name: 'walk-hand' }).click()
    await page.keyboard.press('Escape')
    await pack.getByRole('button', { name: 'Save' }).click()
    await pack.locator('.tag', { hasText: 'walk-hand' }).waitFor()
    await pack.getByRole('button', { name: 'Delete' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await pack.waitFor({ state: 'detached' })
  })

  await t.test('deletes groups again', async () => {
    for (const name of ['walk-hand', 'walk-label']) {
      await page.goto(`${url}/groups/${name}`)
      await page.getByRole('button', { name: 'Delete' }).click()
      await dialog.getByRole('button', { name: 'Delete' }).click()
      await page.waitForURL(/\/groups$/)
      await page.getByRole('link', { name, exact: true }).waitFor({ state: 'detached' })
    }
  })

  await t.test('lists what was done, and changes a setting', async () => {
    await open(page, 'Responses')
    await page.locator('tr[data-response] .tag[data-state=done]').first().waitFor()
    await accessible('responses')
    await open(page, 'Settings')
    const field = page.getByLabel('Keep results')
    const before = await field.inputValue()
    await field.fill('29')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('button', { name: 'Save', disabled: true }).waitFor()
    await page.reload()
    assert.match(await page.getByLabel('Keep results').inputValue(), /^29\b/)
    await page.getByRole('region', { name: 'Sinks' }).getByText(/No sink is configured/).waitFor()
    await accessible('settings')
    await page.getByLabel('Keep results').fill(before.replace(/\D/g, ''))
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByRole('button', { name: 'Save', disabled: true }).waitFor()
  })

  await t.test('lets somebody in, and out again', async () => {
    await open(page, 'Users')
    await page.getByRole('button', { name: 'New user' }).click()
    await dialog.getByLabel('Name', { exact: true }).fill('walker')
    await dialog.locator('input[autocomplete=new-password]').fill('a password for the walk')
    await accessible('new user')
    await dialog.getByRole('button', { name: 'Save' }).click()
    const row = page.locator('table.list tbody tr', { hasText: 'walker' })
    await row.getByRole('button', { name: 'Remove' }).click()
    await dialog.getByRole('button', { name: 'Remove' }).click()
    await row.waitFor({ state: 'detached' })
    await accessible('users')
    await open(page, 'Audit log')
    await page.locator('table.list tbody tr').first().waitFor()
    await accessible('audit log')
  })

  await t.test('says what is not there', async () => {
    const before = complaints.length
    await page.goto(`${url}/groups/no-such-group`)
    await page.locator('[data-unavailable]').waitFor()
    for (const extra of complaints.splice(before)) assert.match(extra, /404/)
    await page.goto(`${url}/no/such/page`)
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
  })

  await t.test('speaks Chinese to who chooses it, on every page', async () => {
    await page.goto(`${url}/`)
    await page.getByTitle('Account').click()
    await page.getByRole('menuitem', { name: '简体中文' }).click()
    await page.getByRole('heading', { name: '概览', exact: true }).waitFor()
    await page.reload()
    await page.getByRole('heading', { name: '概览', exact: true }).waitFor()
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'zh-Hans')
    await accessible('概览')
    for (const [path, heading] of Object.entries({
      alerts: '告警', events: '事件', hosts: '主机', groups: '主机组', queries: '实时查询', responses: '响应', rules: '规则', packs: '查询包', users: '用户', audit: '审计日志', settings: '设置',
    })) {
      await page.goto(`${url}/${path}`)
      await page.getByRole('heading', { name: heading, exact: true, level: 1 }).waitFor()
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false, `${path} scrolls sideways`)
    }
    await page.getByTitle('账户').click()
    await page.getByRole('menuitem', { name: 'English' }).click()
    await page.getByRole('heading', { name: 'Settings', exact: true }).waitFor()
  })
}
