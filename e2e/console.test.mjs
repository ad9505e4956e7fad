// The console against a real server and a real agent, in Debian's Chromium.
// Who runs it starts both and names them in the environment; see README.md.
import AxeBuilder from '@axe-core/playwright'
import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { chromium } from 'playwright-core'
import { Miner } from './miner.mjs'
import { walk } from './walk.mjs'

const url = process.env.EDR_E2E_URL
const user = process.env.EDR_E2E_USER
const password = process.env.EDR_E2E_PASSWORD
const host = process.env.EDR_E2E_HOST ?? hostname()
const browserPath = process.env.EDR_E2E_CHROMIUM ?? '/usr/bin/chromium'
const images = process.env.EDR_E2E_IMAGES ?? new URL('../docs/img/', import.meta.url).pathname
const missing = !url || !user || !password
  ? 'EDR_E2E_URL, EDR_E2E_USER and EDR_E2E_PASSWORD name no server'
  : existsSync(browserPath) ? false : `${browserPath} is not installed`
if (missing && process.env.EDR_TEST_REQUIRE === 'all') throw new Error(missing)

// How long the real machinery may take: enrolment, capture, long poll.
const patience = 120_000

const join_ = `SELECT u.username, u.uid, u.shell, count(p.pid) AS processes,
       sum(p.resident_size) / 1048576 AS resident_mib
FROM users u LEFT JOIN processes p ON p.uid = u.uid
GROUP BY u.uid ORDER BY processes DESC, u.uid`
const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c'

const hostile = `<img src=x onerror="window.__owned=1"><script>window.__owned=2</script>`
const args = [
  '--no-sandbox', '--headless', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
]

let browser
let page
const complaints = []
const strangers = []
const miners = []

async function look(scheme, name) {
  if (process.env.EDR_SCREENSHOTS !== '1') return
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
  mkdirSync(images, { recursive: true })
  // The mouse away from what it would colour, and the fonts there.
  await page.mouse.move(0, 0)
  await page.evaluate(() => document.fonts.ready)
  await page.screenshot({ path: join(images, name), animations: 'disabled' })
  await page.emulateMedia({ colorScheme: 'light' })
}

async function accessible(what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    // Only colours differ between the two.
    const axe = new AxeBuilder({ page })
    const { violations } = await (colorScheme === 'dark' ? axe.withRules(['color-contrast']) : axe.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'])).analyze()
    const bad = violations
      .filter((v) => v.impact === 'serious' || v.impact === 'critical')
      .map((v) => `${v.id}: ${v.help}\n  ${v.nodes.map((n) => `${n.html.slice(0, 160)}\n    ${n.failureSummary}`).join('\n  ')}`)
    assert.deepEqual(bad, [], `${what}, ${colorScheme}`)
  }
  await page.emulateMedia({ colorScheme: 'light' })
}

async function signIn() {
  await page.goto(url)
  await page.getByLabel('Name').fill(user)
  await page.locator('input[name=password]').fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  const forced = page.getByLabel('New password again')
  const inside = page.getByRole('navigation', { name: 'Main' })
  await forced.or(inside).first().waitFor({ timeout: patience })
  if (await forced.isVisible()) {
    await page.getByLabel('Present password').fill(password)
    await page.getByLabel('New password', { exact: true }).fill(`${password}-changed`)
    await forced.fill(`${password}-changed`)
    await page.getByRole('button', { name: 'Change password' }).click()
  }
  await inside.waitFor({ timeout: patience })
}

before(async () => {
  if (missing) return
  browser = await chromium.launch({ executablePath: browserPath, args })
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ignoreHTTPSErrors: true, colorScheme: 'light' })
  page = await context.newPage()
  page.setDefaultTimeout(patience)
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (e) => {
      console.error(`content security policy: ${e.violatedDirective} ${e.blockedURI}`)
    })
  })
  page.on('console', (m) => {
    // Asking who is logged in, before anybody is, is answered with 401.
    const asked = m.location().url.endsWith('/api/v1/me') && m.text().includes('401')
    if (m.type() === 'error' && !asked) complaints.push(`${m.text()} (${m.location().url})`)
  })
  page.on('pageerror', (e) => complaints.push(String(e)))
  page.on('request', (r) => {
    if (new URL(r.url()).origin !== new URL(url).origin && !r.url().startsWith('blob:')) strangers.push(r.url())
  })
})

after(async () => {
  for (const miner of miners) await miner.clean()
  await browser?.close()
})

test('the console', { skip: missing }, async (t) => {
  await t.test('shows a login page that anyone can read', async () => {
    await page.goto(url)
    await page.getByRole('button', { name: 'Sign in' }).waitFor()
    await accessible('login')
  })

  await t.test('lets a person in', async () => {
    await signIn()
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await accessible('overview')
  })

  await t.test('shows the agent online', async () => {
    await page.getByRole('link', { name: 'Hosts', exact: true }).click()
    const row = page.locator('table.list tbody tr', { has: page.getByRole('link', { name: host, exact: true }) })
    await row.getByText('Online', { exact: true }).first().waitFor()
    await accessible('hosts')
    await row.getByRole('link', { name: host, exact: true }).click()
    await page.getByRole('heading', { name: 'Sensors' }).waitFor()
    await accessible('host')
  })

  await t.test('asks the agent and shows its rows', async () => {
    await page.getByRole('link', { name: 'Live query', exact: true }).click()
    const editor = page.getByRole('textbox', { name: 'SQL' })
    await editor.click()
    await page.keyboard.press('Control+A')
    await page.keyboard.insertText('SELECT pid, name FROM processes')
    await page.keyboard.press('Control+Enter')
    await page.waitForURL(/\/queries\/.+/)
    const results = page.locator('section[data-rows]')
    await results.locator('[data-query-state=done]').waitFor()
    assert.notEqual(await results.locator('[data-outcome=rows]').getAttribute('data-count'), '0')
    const rows = Number(await results.getAttribute('data-rows'))
    assert.ok(rows > 3, `${rows} rows`)

    // This very process is among them.
    await page.getByLabel('Filter rows').fill(String(process.pid))
    await results.locator('.line .cell', { hasText: new RegExp(`^${process.pid}$`) }).first().waitFor()
    await page.getByLabel('Filter rows').fill('')
    await accessible('live query')

    // The link outlives the page.
    await page.reload()
    await page.locator(`section[data-rows="${rows}"]`).waitFor()
    assert.match(await page.getByRole('textbox', { name: 'SQL' }).innerText(), /SELECT pid, name FROM processes/)
  })

  await t.test('joins tables', async () => {
    const editor = page.getByRole('textbox', { name: 'SQL' })
    await editor.click()
    await page.keyboard.press('Control+A')
    await page.keyboard.insertText(join_)
    await page.keyboard.press('Escape')
    const before = page.url()
    await page.getByRole('button', { name: 'Run' }).click()
    await page.waitForURL((u) => u.href !== before)
    await page.locator('section[data-rows] [data-query-state=done]').waitFor()
    await page.locator('.grid .cell', { hasText: /^root$/ }).first().waitFor()
    await look('dark', 'live-query.png')
  })

  await t.test('stops a query that would not end', async () => {
    await page.goto(`${url}/queries`)
    const editor = page.getByRole('textbox', { name: 'SQL' })
    await editor.click()
    await page.keyboard.press('Control+A')
    await page.keyboard.insertText(endless)
    // A busy agent refuses at once what it could not finish in time; it shall begin.
    await page.getByRole('textbox', { name: 'Deadline' }).fill('900')
    await editor.click()
    await page.keyboard.press('Control+Enter')
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.locator('[data-query-state=stopped]').waitFor()
  })

  await t.test('refuses a broken statement with SQLite’s words', async () => {
    await page.goto(`${url}/queries`)
    const editor = page.getByRole('textbox', { name: 'SQL' })
    await editor.click()
    await page.keyboard.press('Control+A')
    await page.keyboard.insertText('SELEC 1')
    // The refusal is the subject here, so that its 400 is no complaint.
    const before = complaints.length
    await page.keyboard.press('Control+Enter')
    await page.getByRole('alert').filter({ hasText: 'syntax error' }).waitFor()
    for (const extra of complaints.splice(before)) assert.match(extra, /400/)
  })

  await t.test('shows an alert while its cause runs, and ends the cause', async () => {
    await page.getByRole('link', { name: /^Alerts/ }).first().click()
    await page.getByRole('heading', { name: 'Alerts' }).waitFor()
    const address = page.url()
    const miner = await Miner.start('/bin/sleep', ['600'])
    miners.push(miner)

    // Nothing is reloaded: the row comes by itself.
    const row = page.locator('a.alertrow', { hasText: miner.folder }).first()
    await row.waitFor()
    assert.equal(page.url(), address)
    await row.click()

    const panel = page.getByRole('complementary', { name: 'Alert' })
    await panel.locator('.proc.subject .name', { hasText: 'xmrig' }).waitFor()
    await panel.locator('.proc.subject', { hasText: `pid ${miner.pid}` }).waitFor()
    assert.match(await panel.getByTestId('cmdline').innerText(), /xmrig 600/)
    const ancestors = await panel.locator('.proc:not(.subject) .name').allInnerTexts()
    assert.ok(ancestors.includes('bash'), `ancestors ${ancestors}`)
    assert.ok(ancestors.some((n) => n.startsWith('node')), `ancestors ${ancestors}`)
    assert.ok((await panel.locator('.fields .field').count()) > 3, 'fields of the event')
    await accessible('alert')

    await panel.locator('.proc.subject').getByRole('button', { name: 'Kill', exact: true }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText(String(miner.pid), { exact: true }).waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Kill process' }).isDisabled(), 'a reason is needed')
    await dialog.getByLabel('Reason').fill('A miner, found by the end-to-end test')
    await accessible('kill')
    assert.ok(miner.running(), 'nothing has ended it yet')
    await dialog.getByRole('button', { name: 'Kill process' }).click()
    await panel.locator('.response[data-state=done]').waitFor()
    await miner.gone()
    assert.equal(miner.running(), false)
    if (process.env.EDR_SCREENSHOTS === '1') {
      await page.goto(`${page.url()}?q=xmrig`)
      await panel.locator('.response[data-state=done]').waitFor()
      // From the nearer ancestors on, down to what the host read back.
      await panel.locator('.proc').nth(2).evaluate((e) => e.scrollIntoView({ block: 'start' }))
      await look('light', 'alert.png')
    }
  })

  await t.test('shows a hostile command line as text', async () => {
    await page.goto(`${url}/alerts`)
    // tail follows what it can and only complains about the argument.
    const miner = await Miner.start('/usr/bin/tail', ['-f', '/dev/null', hostile])
    miners.push(miner)
    const row = page.locator('a.alertrow', { hasText: miner.folder }).first()
    await row.waitFor()
    await row.click()
    const panel = page.getByRole('complementary', { name: 'Alert' })
    await panel.getByTestId('cmdline').filter({ hasText: hostile }).waitFor()
    assert.equal(await page.locator('img[src=x]').count(), 0)
    assert.equal(await page.evaluate(() => window.__owned), undefined)
    await miner.clean()
  })

  await t.test('acknowledges', async () => {
    const panel = page.getByRole('complementary', { name: 'Alert' })
    await panel.getByRole('button', { name: 'Acknowledge' }).click()
    await panel.getByText('Acknowledged', { exact: true }).waitFor()
    await page.keyboard.press('Escape')
  })

  await walk(t, { page, url, host, user, hostile, hit: miners[0].folder, accessible, complaints })

  await t.test('complains of nothing and asks nobody else', () => {
    assert.deepEqual(complaints, [])
    assert.deepEqual(strangers, [])
  })
})
