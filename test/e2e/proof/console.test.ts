/** The compliance console in real Chromium, against the production Worker: signing in, policies, keys, every screen. */
import type { Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { expectUsable, TWO_SCREENS } from '#test/support/stack/axe.ts'
import { useConsoleStack } from '#test/support/stack/console.ts'

const on = useConsoleStack()
let page: Page

beforeAll(async () => {
  const request = { model: 'littoral-embed-400k', input: 'turn on the kitchen light' }
  expect((await on.stack.post(on.tenant, '/v1/embeddings', request)).status).toBe(200)
  page = await on.open(on.tenant.apiKey)
})

describe('signing in', () => {
  it('accepts a key that the server knows, stores it nowhere, and contacts no other host', async () => {
    const fresh = await on.browser.newPage()
    const hosts = new Set<string>()
    fresh.on('request', (request) => hosts.add(new URL(request.url()).host))
    await fresh.goto(`${on.stack.url}/compliance`)
    await fresh.getByRole('button', { name: 'Sign in' }).click()
    await fresh.getByText('This is not a key').waitFor()
    await fresh.getByLabel('Tenant key').fill(`lit_acme_${'0'.repeat(48)}`)
    await fresh.getByRole('button', { name: 'Sign in' }).click()
    await fresh.getByText('The API key is unknown').waitFor()
    await fresh.getByLabel('Tenant key').fill(on.tenant.apiKey)
    await fresh.getByLabel('Tenant key').press('Enter')
    await fresh.getByRole('link', { name: 'harbour' }).waitFor()
    const kept = '[localStorage.length, sessionStorage.length, document.cookie, location.href]'
    expect(await fresh.evaluate(kept)).toEqual([0, 0, '', `${on.stack.url}/compliance#/policies`])
    expect(await fresh.evaluate('indexedDB.databases()')).toEqual([])
    expect([...hosts]).toEqual([new URL(on.stack.url).host])
    await fresh.reload()
    await fresh.getByLabel('Tenant key').waitFor()
    await fresh.close()
    const { headers } = await fetch(`${on.stack.url}/compliance`)
    const policy = headers.get('content-security-policy') ?? ''
    expect(policy).toContain("script-src 'self';")
    expect(policy).toContain(`connect-src 'self' ${on.stack.chain.rpc}`)
    expect(policy).not.toMatch(/unsafe|data:/)
  })

  it('shows what the key may see, and says what it may not', async () => {
    const { key } = await on.stack.operator.createKey({ tenant: 'acme', scopes: ['infer'] })
    const weak = await on.open(key)
    expect(await weak.getByRole('navigation').getByRole('link').allInnerTexts()).toEqual([
      'Policies',
      'Map',
      'Nodes',
      'Groups',
    ])
    await weak.getByTestId('who').locator('summary').click()
    await weak.getByText('It may not publish').waitFor()
    expect(await weak.getByRole('link', { name: 'New policy' }).count()).toBe(0)
    await on.show(weak, 'audit')
    expect(await weak.getByTestId('no-scope').innerText()).toContain('needs a key with scope audit')
    await weak.close()
  })
})

describe('policies', () => {
  it('are edited as a form: a fault appears at its field, and the corrected draft is published', async () => {
    await on.show(page, 'policies/harbour?show=edit')
    const deny = page.getByLabel('Add to: Jobs may not run in')
    for (const name of ['Hungary', 'Mars']) {
      await deny.fill(name)
      await deny.press('Enter')
    }
    await page.getByLabel('Days until records are erased').fill('0')
    await page.getByRole('button', { name: 'Publish version 2' }).click()
    const faults = page.getByTestId('field-faults')
    await faults.waitFor()
    on.forgive('status of 400')
    expect(await page.locator('[data-pointer="/compute/deny"] .problem').innerText()).toContain(
      '"MARS" is neither',
    )
    const days = page.locator('[data-pointer="/retentionDays"]')
    expect(await days.locator('.problem').innerText()).not.toBe('')
    expect(await days.locator('input').getAttribute('aria-invalid')).toBe('true')
    await faults.getByRole('button', { name: '/retentionDays' }).click()
    await page.keyboard.press('ControlOrMeta+a')
    await page.keyboard.type('90')
    await page.getByRole('button', { name: 'Remove MARS' }).click()
    await page.getByRole('button', { name: 'Publish version 2' }).click()
    await page.getByText('Version 2 is in force').waitFor()
    const { body } = await on.stack.get(on.tenant, '/v1/policies/harbour')
    expect(body).toMatchObject({
      version: 2,
      policy: { compute: { allow: ['EU', 'CH'], deny: ['HU'] }, retentionDays: 90 },
    })
  })

  it('are edited as JSON: a fault appears at its line', async () => {
    await on.show(page, 'policies/harbour?show=edit')
    await page.getByRole('radio', { name: 'JSON' }).check()
    const area = page.getByTestId('policy-json')
    await area.fill('{ "compute": ')
    await page.getByText('is not JSON').waitFor()
    await page.getByRole('radio', { name: 'Form' }).click()
    expect(await area.isVisible()).toBe(true)
    await area.fill('{\n  "compute": {\n    "allow": ["DE", "XX"]\n  },\n  "colour": "red"\n}')
    await page.getByRole('button', { name: 'Publish version 3' }).click()
    await page.getByRole('button', { name: 'Line 3' }).waitFor()
    on.forgive('status of 400')
    expect(await page.locator('#json-problems').innerText()).toContain('/compute/allow/1')
    await page.getByRole('link', { name: 'Leave without publishing' }).click()
    await page.getByText('Version 2 is in force').waitFor()
  })

  it('are compared version by version, countries by name', async () => {
    const view = await on.show(page, 'policies/harbour?show=compare&from=1&to=2')
    const diff = await view.getByTestId('diff').innerText()
    expect(diff).toContain('Jobs may no longer run in 1 country: Hungary')
    expect(diff).toMatch(/Days until records are erased\s+\/retentionDays\s+30 days\s+90 days/)
    await page.getByLabel('From version').selectOption('2')
    await page.getByText('Nothing differs.').waitFor()
  })

  it('are dry-run: each connected node, allowed or refused, in words and on the map', async () => {
    const view = await on.show(page, 'policies/harbour?show=dry-run')
    const rows = view.getByTestId('dry-run').locator('tbody tr')
    const verdicts = (await rows.allInnerTexts()).map((text) => text.split(/\s/)[0])
    expect(new Set(verdicts)).toEqual(new Set(['allowed', 'compute.allow']))
    expect(await rows.filter({ hasText: 'compute.allow' }).innerText()).toContain('stands in US')
    expect(await view.locator('.mark-allowed title').textContent()).toBe('Germany: 1 node allowed')
    expect(await view.locator('.mark-refused title').textContent()).toContain('United States')
    await page.getByLabel('Narrowed by the request to').fill('Switzerland')
    await page.getByRole('button', { name: 'Run again' }).click()
    await page.locator('.outcome-bad').waitFor()
    expect(await page.locator('.outcome-bad').innerText()).toMatch(/Rule: compute\.allow\s+Needed/)
  })
})

describe('groups of countries', () => {
  it('are shown with their members, source, date and pitfalls', async () => {
    const { key } = await on.stack.operator.createKey({ tenant: 'acme', scopes: ['infer'] })
    const weak = await on.open(key)
    const view = await on.show(weak, 'groups')
    const rowOf = (label: string) =>
      view.locator('tbody tr').filter({ has: weak.getByText(label, { exact: true }) })
    const rows = await view.locator('tbody tr').all()
    expect(rows).toHaveLength(5)
    for (const row of rows) {
      expect(await row.innerText()).toMatch(/\s\d{4}-\d{2}-\d{2}\s/)
      expect(await row.getByRole('link').getAttribute('href')).toMatch(/^https:/)
      expect(await row.locator('details p').textContent()).toContain(', ')
    }
    const eu = rowOf('European Union (EU)')
    expect(await eu.innerText()).toContain('27 countries')
    await eu.getByText('List by name').click()
    const members = await eu.locator('details p').innerText()
    expect(members).toMatch(/^Austria, Belgium, .*Sweden$/)
    expect(members).not.toMatch(/Guadeloupe|Réunion|Reunion|Åland/)
    expect(await eu.innerText()).toContain('EU leaves out GP, RE, GF, MQ, YT, MF and AX')
    const adequate = rowOf('Adequate under GDPR Art. 45 (ADEQUATE)')
    expect(await adequate.locator('details p').textContent()).toContain('United Kingdom')
    expect(await adequate.innerText()).toContain('ADEQUATE holds GB')
    await weak.close()
  })
})

describe('keys', () => {
  it('are created, rotated and revoked; a secret is shown once, and a revoked key is signed out', async () => {
    await on.show(page, 'keys')
    await page.getByLabel('admin', { exact: false }).check()
    await page.getByRole('button', { name: 'Create key' }).click()
    const secret = page.getByTestId('secret')
    const made = await secret.innerText()
    const other = await on.open(made)
    await page.getByRole('button', { name: 'I have saved it' }).click()
    expect(await secret.count()).toBe(0)
    const id = (await other.getByTestId('who').locator('code').textContent()) ?? ''
    const row = page.locator('tbody tr').filter({ hasText: id })
    await row.getByRole('button', { name: 'Rotate' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click()
    await secret.waitFor()
    expect(await secret.innerText()).not.toBe(made)
    await row.getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await row.getByText('revoked').waitFor()
    await other.goto(`${on.stack.url}/compliance#/keys`)
    await other.getByText('The server no longer accepts this key').waitFor()
    on.forgive('status of 401')
    await other.close()
  })

  it('fit their table with all buttons, and do not outlive the key that creates them', async () => {
    const expiresAtMs = Date.parse('2099-01-31')
    const scopes = ['admin', 'policy', 'audit'] as const
    const terms = { tenant: 'acme', scopes: [...scopes], name: 'DPO', expiresAtMs }
    const { key } = await on.stack.operator.createKey(terms)
    const ending = await on.open(key)
    await ending.setViewportSize({ width: 1280, height: 800 })
    await on.show(ending, 'keys')
    const room =
      "(({ scrollWidth, clientWidth }) => scrollWidth <= clientWidth)(document.querySelector('.table'))"
    expect(await ending.evaluate(room)).toBe(true)
    await ending.getByText('it expires with the key that you are signed in with').waitFor()
    await ending.getByRole('button', { name: 'Create key' }).click()
    await ending.getByTestId('secret').waitFor()
    const ends = ending.locator('tbody tr').filter({ hasText: '31 Jan 2099' })
    await ends.nth(1).waitFor()
    // A card says it in one piece, under its column's name.
    await ending.setViewportSize({ width: 390, height: 800 })
    const state = ending.locator('td[data-head=State]').filter({ hasText: '2099' }).first()
    expect(await state.locator('> *').count()).toBe(1)
    await ending.close()
  })
})

describe('with the keyboard alone', () => {
  it('a user signs in, publishes a policy and reads a proof', async () => {
    const keyed = await on.browser.newPage()
    await keyed.goto(`${on.stack.url}/compliance`)
    const tabTo = async (
      name: string | RegExp,
      role: 'link' | 'button' | 'textbox' | 'combobox',
    ) => {
      const target = keyed.getByRole(role, { name }).first()
      for (let i = 0; i < 60; i += 1) {
        await keyed.keyboard.press('Tab')
        if ((await target.and(keyed.locator(':focus')).count()) > 0) return
      }
      throw new Error(`no way by Tab to ${String(name)}`)
    }
    for (let i = 0; i < 5; i += 1) {
      await keyed.keyboard.press('Tab')
      if (await keyed.evaluate('document.activeElement?.id === "key"')) break
    }
    await keyed.keyboard.type(on.tenant.apiKey)
    await keyed.keyboard.press('Enter')
    await keyed.getByRole('link', { name: 'New policy' }).waitFor()
    await tabTo('New policy', 'link')
    await keyed.keyboard.press('Enter')
    await keyed.getByLabel('Name', { exact: true }).waitFor()
    expect(await keyed.evaluate('document.activeElement?.tagName')).toBe('H1')
    await tabTo(/^Name/, 'textbox')
    await keyed.keyboard.type('by-keyboard')
    await tabTo('Add to: Jobs may run in', 'combobox')
    await keyed.keyboard.type('Switzerland')
    await keyed.keyboard.press('Enter')
    await keyed
      .getByText('Jobs may run in European Economic Area (EEA), Switzerland (CH)')
      .waitFor()
    await tabTo('Publish version 1', 'button')
    const outline = 'getComputedStyle(document.activeElement).outlineStyle'
    expect(await keyed.evaluate(outline)).toBe('solid')
    await keyed.keyboard.press('Enter')
    await keyed.getByText('Version 1 is in force').waitFor()
    await tabTo('Jobs and proofs', 'link')
    await keyed.keyboard.press('Enter')
    await keyed.getByRole('heading', { name: 'Recent jobs' }).waitFor()
    await tabTo(/^job/, 'link')
    await keyed.keyboard.press('Enter')
    await keyed.getByTestId('verdict').waitFor()
    await keyed.close()
  })
})

describe('on every screen', () => {
  it('axe finds no violation and nothing overflows, in light and dark and on a phone', async () => {
    const views = [
      'policies',
      'policies/harbour',
      'policies/harbour?show=edit',
      'policies/harbour?show=compare&from=1&to=2',
      'policies/harbour?show=dry-run',
      'map',
      'audit',
      'jobs',
      'nodes',
      'groups',
      'keys',
    ]
    for (const view of views) {
      await on.show(page, view)
      await expectUsable(page, TWO_SCREENS)
    }
    const fresh = await on.browser.newPage()
    await fresh.goto(`${on.stack.url}/compliance`)
    await expectUsable(fresh)
    await fresh.close()
  })

  it('tells when there is nothing to show, and when the server fails', async () => {
    await on.stack.createTenant('empty', ['policy', 'audit', 'admin'])
    const { key } = await on.stack.operator.createKey({ tenant: 'empty', scopes: ['audit'] })
    const empty = await on.open(key)
    await empty.route('**/v1/network/nodes', async (route) => {
      const answer = await route.fetch()
      const network = (await answer.json()) as object
      await route.fulfill({ response: answer, json: { ...network, nodes: [] } })
    })
    await on.show(empty, 'jobs')
    await empty.getByText('No job has run yet.').waitFor()
    await on.show(empty, 'nodes')
    await empty.getByText('No node is connected.').waitFor()
    await on.show(empty, 'map')
    await empty.getByText('No node is connected, and no job has run.').waitFor()
    await expectUsable(empty, TWO_SCREENS)
    await empty.route('**/v1/audit/**', (route) => route.abort())
    await on.show(empty, 'audit')
    await empty.getByText('The server could not be reached.').waitFor()
    await expectUsable(empty, TWO_SCREENS)
    await empty.unroute('**/v1/audit/**')
    await empty.getByRole('button', { name: 'Try again' }).click()
    await empty.locator('tbody tr').first().waitFor()
    on.forgive('ERR_FAILED')
    await empty.close()
  })
})
