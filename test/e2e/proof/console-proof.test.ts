/** A job's proof in the compliance console, in real Chromium: verified down to the chain, tampered with, erased; map, log, nodes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { beforeAll, describe, expect, it } from 'vitest'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { createChainView, rememberChain } from '#shared/verify/chain-view.ts'
import { verifyBundle } from '#shared/verify/whole.ts'
import { overall, proveJob } from '../../../console/compliance/jobs/prove-job.ts'
import { pageTrust } from '../../../console/compliance/jobs/page-trust.ts'
import { expectUsable, TWO_SCREENS } from '#test/support/stack/axe.ts'
import { idle, useConsoleStack } from '#test/support/stack/console.ts'
import { until } from '#test/support/poll.ts'

const EMBEDDING = { model: 'littoral-embed-400k', input: 'turn on the kitchen light' }

const on = useConsoleStack()
let page: Page
let jobId: string
let bundle: AuditBundle

beforeAll(async () => {
  jobId = await runJob()
  bundle = await settledBundle(jobId)
  page = await on.open(on.tenant.apiKey)
})

async function runJob(): Promise<string> {
  const before = (await placed()).length
  const { status, body } = await on.stack.post(on.tenant, '/v1/embeddings', EMBEDDING)
  expect({ status, body: status === 200 ? {} : body }).toEqual({ status: 200, body: {} })
  let entries: Placed[] = []
  await until('the job is in the log', async () => (entries = await placed()).length > before)
  return entries[0]?.opening?.detail.jobId ?? ''
}

interface Placed {
  readonly opening: { readonly detail: { readonly jobId: string } } | null
}

async function placed(): Promise<Placed[]> {
  return (await on.stack.get(on.tenant, '/v1/audit/events?type=job.placed')).body.data as Placed[]
}

async function settledBundle(id: string): Promise<AuditBundle> {
  let found: AuditBundle | undefined
  const isSettled = async () => {
    found = AuditBundle.parse((await on.stack.get(on.tenant, `/v1/jobs/${id}/proof`)).body)
    return found.jobs[0]?.settlement != null
  }
  await until('the job has settled', isSettled)
  return AuditBundle.parse(found)
}

function steps(view: Locator): Promise<Record<string, string>> {
  return view.evaluate((root) => {
    const drawn = [...(root as unknown as ParentLike).querySelectorAll('[data-testid^=step-]')]
    return Object.fromEntries(
      drawn.map(({ dataset }) => [dataset['testid']?.slice(5) ?? '', dataset['result'] ?? '']),
    )
  })
}

/** The part of the DOM's types that code inside the page uses. */
interface ParentLike {
  querySelectorAll(selector: string): Iterable<{ readonly dataset: Record<string, string> }>
}

describe('a job', () => {
  it('has a proof whose every step is verified in the browser, down to the chain', async () => {
    const view = await on.show(page, `jobs/${jobId}`)
    const results = await steps(view)
    const names = ['request', 'policy', 'place', 'signatures', 'inclusion', 'checkpoint', 'batch']
    expect(results).toEqual(Object.fromEntries(names.map((name) => [name, 'passed'])))
    expect(await view.getByTestId('verdict').getAttribute('data-result')).toBe('passed')
    await expectUsable(page, TWO_SCREENS)
    const download = page.waitForEvent('download')
    await page.getByRole('button', { name: 'Download the bundle' }).click()
    const saved = JSON.parse(await readFile(await (await download).path(), 'utf8')) as unknown
    expect(AuditBundle.parse(saved).jobs[0]?.receipt.id).toBe(bundle.jobs[0]?.receipt.id)
  })

  it('turns the broken step red when its bundle was tampered with, with the reason', async () => {
    const edits: Record<string, (copy: Bundle) => void> = {
      policy: (copy) => void (first(copy.jobs).receipt.policy.retentionDays += 1),
      place: (copy) => void (first(copy.jobs).receipt.presence.record = btoa('{}')),
      signatures: (copy) => void (first(copy.jobs).receipt.receipt.units += 1),
      inclusion: (copy) => void (first(copy.entries).atMs += 1),
      checkpoint: (copy) => void (copy.checkpoint = copy.checkpoint.replace('\n', '0\n')),
      batch: (copy) => void (first(copy.batches).logRoot = `0x${'ab'.repeat(32)}`),
    }
    await on.show(page, 'jobs')
    for (const [step, edit] of Object.entries(edits)) {
      const copy = structuredClone(bundle) as Bundle
      edit(copy)
      const file = join(on.stack.dir, `tampered-${step}.json`)
      await writeFile(file, JSON.stringify(copy))
      await page.locator('#bundle-file').setInputFiles(file)
      const proof = page.getByTestId('file-proof')
      await proof.locator(`[data-testid=step-${step}][data-result=failed] .reason`).waitFor()
      expect(await proof.getByTestId('verdict').getAttribute('data-result')).toBe('failed')
    }
  })

  it('has the headline of the command, which counts missing parts; a file with two readings is refused', async () => {
    const copy = structuredClone(bundle) as Bundle
    first(copy.entries).opening = null
    const { verdict } = await verifyBundle(copy, await trustOfPage())
    expect(verdict.title).toContain('1 entry without detail')
    const file = join(on.stack.dir, 'short.json')
    await writeFile(file, JSON.stringify(copy))
    await on.show(page, 'jobs')
    await page.locator('#bundle-file').setInputFiles(file)
    const shown = page.getByTestId('file-proof').getByTestId('verdict')
    await shown.getByText(verdict.title).waitFor()
    expect(await shown.getAttribute('data-result')).toBe('missing')
    const twice = JSON.stringify(bundle).replace('"country":', '"country":1,"country":')
    await writeFile(file, twice)
    await page.locator('#bundle-file').setInputFiles([])
    await page.locator('#bundle-file').setInputFiles(file)
    await page.getByText(/place\.country: appears twice/).waitFor()
  })

  it('fails when any single value of its bundle changes', async () => {
    const trust = await trustOfPage()
    const judge = async (document: unknown) => {
      const parsed = AuditBundle.safeParse(document)
      const [job] = parsed.data?.jobs ?? []
      if (!parsed.success || job === undefined) return 'failed'
      return overall(proveJob(parsed.data, job, await verifyBundle(parsed.data, trust)))
    }
    expect(await judge(bundle)).toBe('passed')
    const unseen: string[] = []
    for (const path of leaves(bundle)) {
      if ((await judge(edited(bundle, path))) !== 'failed') unseen.push(path.join('/'))
    }
    expect(unseen).toEqual(UNPROVEN)
  })

  it('is erased after a dialog that says what stays, and leaves a proof of erasure', async () => {
    const doomed = await runJob()
    await on.show(page, `jobs/${doomed}`)
    await page.getByRole('button', { name: 'Erase this job' }).click()
    const dialog = page.getByRole('dialog')
    expect(await dialog.innerText()).toContain('What stays')
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Erase this job' }).click()
    await dialog.getByRole('button', { name: 'Erase', exact: true }).click()
    const erasure = page.getByTestId('erasure')
    await erasure.waitFor()
    expect(await erasure.locator('.finding-passed').count()).toBe(3)
    await expectUsable(page, TWO_SCREENS)
    await on.show(page, 'jobs')
    await on.show(page, `jobs/${doomed}`)
    expect(await page.getByTestId('fault').innerText()).toContain('Not found')
    on.forgive('status of 404')
    expect((await on.stack.get(on.tenant, `/v1/jobs/${doomed}/proof`)).status).toBe(404)
  })
})

type Mutable<T> = T extends string | number | boolean | null
  ? T
  : { -readonly [K in keyof T]: Mutable<T[K]> }
type Bundle = Mutable<AuditBundle>

/** The only value that no signature, hash or root covers: the deployment's estimate of when a pending job settles. */
const UNPROVEN: readonly string[] = ['settlesWithinMs']

/** Trust anchors of the page, read as the page reads them. */
async function trustOfPage() {
  const view = await createChainView(on.stack.chain.rpc, on.stack.deployment.settlement)
  return pageTrust({ chain: rememberChain(view), logKeys: [on.stack.logPublicKey] })
}

function first<T>(list: readonly T[]): T {
  const [head] = list
  if (head === undefined) throw new Error('the list is empty')
  return head
}

function leaves(value: unknown, path: readonly string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return value === null ? [] : [[...path]]
  return Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))
}

/** Gives a copy with one value changed, which its schema still accepts where it can. */
function edited(value: unknown, [key, ...rest]: readonly string[]): unknown {
  if (key !== undefined) {
    if (Array.isArray(value))
      return value.map((item: unknown, at) => (String(at) === key ? edited(item, rest) : item))
    const object = value as Record<string, unknown>
    return { ...object, [key]: edited(object[key], rest) }
  }
  if (typeof value === 'number') return value + 1
  if (typeof value === 'boolean') return !value
  const text = String(value)
  const last = text.at(-1)
  return `${text.slice(0, -1)}${last === '1' ? '2' : '1'}`
}

describe('the map, the log and the nodes', () => {
  it('show nodes and jobs by country over the policy, in a drawing and in a table', async () => {
    const view = await on.show(page, 'map')
    const rows = await view.locator('tbody tr').allInnerTexts()
    expect(rows.map((row) => row.split('\t').map((cell) => cell.trim()))).toMatchObject(
      [
        ['Germany', 'allowed', '1', '1 declared', '1', {}],
        ['United States of America', 'not allowed', '1', '1 declared', '0', '–'],
      ].map((row) => row.map((cell) => (typeof cell === 'string' ? cell : expect.any(String)))),
    )
    expect(await view.locator('.mark-jobs title').textContent()).toContain('Germany')
    expect(await view.locator('.land.in').count()).toBeGreaterThan(20)
  })

  it('page through hundreds of entries, search them, and export a stretch as JSONL and CSV', async () => {
    const queue = Array.from({ length: 200 })
    const post = async () => {
      while (queue.pop() === undefined && queue.length > 0)
        await on.stack.post(on.tenant, '/v1/policies/harbour/default', {})
    }
    await Promise.all(Array.from({ length: 16 }, post))
    await on.show(page, 'audit')
    const sequence = async () =>
      Number(await page.getByTestId('entries').locator('tbody td').first().innerText())
    const newest = await sequence()
    expect(newest).toBeGreaterThan(200)
    expect(await page.getByTestId('entries').locator('tbody tr').count()).toBe(50)
    await page.getByRole('button', { name: 'Older' }).click()
    await page.getByText('Page 2').waitFor()
    expect(await sequence()).toBe(newest - 50)
    await page.getByRole('button', { name: 'Newer' }).click()
    expect(await sequence()).toBe(newest)
    await page.getByLabel('Event').selectOption('job.placed')
    await page.getByRole('button', { name: 'Search' }).click()
    await page.getByRole('link', { name: 'Show all' }).waitFor()
    await idle(page)
    const jobs = await page.getByTestId('entries').locator('tbody tr').allInnerTexts()
    expect(jobs.length).toBeGreaterThan(0)
    expect(jobs.every((row) => row.includes('Job placed'))).toBe(true)
    await page.getByText('Export', { exact: true }).click()
    await page.getByLabel('Export only type').selectOption('job.placed')
    await page.getByLabel('Export from (UTC)').fill('2026-01-01T00:00')
    const linesOf = async (format: string) => {
      const download = page.waitForEvent('download')
      await page.getByRole('button', { name: `Export as ${format}` }).click()
      const text = await readFile(await (await download).path(), 'utf8')
      return text.trimEnd().split('\n')
    }
    const entries = await linesOf('JSONL')
    expect(entries.length).toBeGreaterThan(0)
    expect(entries.every((line) => line.includes('"job.placed"'))).toBe(true)
    expect(await linesOf('CSV')).toHaveLength(entries.length + 1)
  })

  it('show the evidence of each node’s place', async () => {
    const view = await on.show(page, 'nodes')
    const german = view.getByTestId('node').filter({ hasText: 'Germany' })
    expect(await german.innerText()).toContain('Only the node itself claims this country.')
    await german.getByText('Full evidence').click()
    await german.getByText('Possible countries').waitFor()
    await page.getByLabel('Evidence').selectOption('attested')
    await page.getByText('No node matches.').waitFor()
  })
})
