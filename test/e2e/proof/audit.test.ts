/** The audit log on the whole system: a job, a bundle that an independent program verifies, and erasure. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  CheckpointReply,
  EntriesReply,
  ErasureReply,
  LogKeyReply,
  ProofReply,
} from '#shared/api/audit.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import type { Tenant } from '#scripts/stack/stack.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { AuditBundle } from '#shared/audit/bundle.ts'
import { leafBytes, LogEntry } from '#shared/audit/entries.ts'
import { parseLogHead, parseNote } from '#shared/audit/checkpoint.ts'
import { leafHash, verifyConsistency, verifyInclusion } from '#shared/proof/tree.ts'
import { toHex } from 'viem'
import { JurisdictionsReply } from '#worker/api/audit/compliance.ts'
import { RopaReply } from '#worker/api/audit/record-of-processing.ts'
import { parseCsv } from '#test/support/csv.ts'
import { until } from '#test/support/poll.ts'
import { useStack } from '#test/support/stack/stack.ts'
import { openOnce } from '#test/support/open-once.ts'

const OUTERMOST = /^(GP|RE|GF|MQ|YT|MF|AX)$/
const EMBEDDING = { model: 'littoral-embed-400k', input: 'turn on the kitchen light' }

const { stack, tenant } = useStack({ scopes: ['infer', 'policy', 'audit', 'admin'] })
const other = openOnce(() => stack.createTenant('rival', ['infer']))
let receiptId: string
let jobId: string
let firstCheckpoint: ReturnType<typeof CheckpointReply.parse>

beforeAll(async () => {
  await stack.startNode({ name: 'fr', region: 'FR', device: 'cpu', verified: false })
  firstCheckpoint = CheckpointReply.parse((await stack.get(tenant, '/v1/audit/checkpoint')).body)
  const { headers, status } = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
  expect(status).toBe(200)
  receiptId = headers.get('x-littoral-receipt') ?? ''
  const placed = await found('the job is in the log', async () => {
    const [entry] = await events('type=job.placed')
    return entry
  })
  jobId = String(placed.opening?.detail['jobId'])
})

/** Asks until there is an answer. */
async function found<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  let answer: T | undefined
  await until(what, async () => (answer = await ask()) !== undefined)
  return answer as T
}

async function events(query: string): Promise<LogEntry[]> {
  const { body } = await stack.get(tenant, `/v1/audit/events?${query}`)
  return EntriesReply.parse(body).data
}

async function text(path: string): Promise<string> {
  const headers = { authorization: `Bearer ${tenant.apiKey}` }
  return (await fetch(`${stack.url}${path}`, { headers })).text()
}

async function settledBundle(): Promise<AuditBundle> {
  return found('the job has settled', async () => {
    const { body } = await stack.get(tenant, `/v1/jobs/${jobId}/proof`)
    const bundle = AuditBundle.parse(body)
    return bundle.jobs.every(({ settlement }) => settlement !== null) ? bundle : undefined
  })
}

/** Runs the command as an auditor does. */
async function verify(bundle: unknown): Promise<{ code: number; output: string }> {
  const file = join(stack.dir, 'bundle.json')
  await writeFile(file, JSON.stringify(bundle))
  const { chain, deployment, logPublicKey } = stack
  const trust = `--rpc ${chain.rpc} --settlement ${deployment.settlement} --log-key ${logPublicKey}`
  const command = repositoryPath('scripts/commands/verify.ts')
  const args = [command, file, ...trust.split(' '), '--allow-simulated']
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr })
    })
  })
}

describe('a job in the audit log', () => {
  it('[V1] [V3] is proven by a bundle that a program verifies without any server; an edited bundle fails', async () => {
    const bundle = await settledBundle()
    const whole = await verify(bundle)
    expect(whole.output).toContain('Everything holds')
    expect(whole.output).toContain(`${jobId}  policy open-eu@1  FR (observed by simulated`)
    expect(whole.code).toBe(0)
    const [entry] = bundle.entries
    const edited = { ...bundle, entries: [{ ...entry, atMs: 1 }, ...bundle.entries.slice(1)] }
    const broken = await verify(edited)
    expect(broken.output).toContain('entry.inclusion')
    expect(broken.code).toBe(1)
  })

  it('is not confused with an error document of the API', async () => {
    const refused: unknown = JSON.parse(await text('/v1/audit/bundle?from=-1'))
    const { code, output } = await verify(refused)
    expect(code).toBe(2)
    expect(output).toContain('is not a bundle but an error answer of the API: 400 invalid_request')
  })

  it('is in a log that only grew: inclusion and consistency over HTTP', async () => {
    const { checkpoint, size, root } = CheckpointReply.parse(
      (await stack.get(tenant, '/v1/audit/checkpoint')).body,
    )
    expect(parseLogHead(parseNote(checkpoint)?.text ?? '')).toMatchObject({ size, root })
    const [entry] = await events(`type=job.placed&job=${jobId}`)
    const index = entry?.sequence ?? -1
    const inclusion = await stack.get(tenant, `/v1/audit/inclusion?index=${index}&size=${size}`)
    const { proof } = ProofReply.parse(inclusion.body)
    const leaf = toHex(leafHash(leafBytes(LogEntry.parse(entry))))
    expect(verifyInclusion({ index, size, root, leaf, proof })).toBe(true)
    const from = firstCheckpoint.size
    const path = `/v1/audit/consistency?from=${from}&to=${size}`
    const grown = ProofReply.parse((await stack.get(tenant, path)).body)
    const claim = { from, to: size, fromRoot: firstCheckpoint.root, toRoot: root }
    expect(verifyConsistency({ ...claim, proof: grown.proof })).toBe(true)
    const key = LogKeyReply.parse(await (await fetch(`${stack.url}/v1/audit/key`)).json())
    expect(key.publicKey).toBe(stack.logPublicKey)
  })

  it('that was refused names the rule, the key that asked, and how often', async () => {
    const narrowed = { 'x-littoral-residency': 'DE' }
    for (let i = 0; i < 3; i += 1)
      expect((await stack.post(tenant, '/v1/embeddings', EMBEDDING, narrowed)).status).toBe(422)
    const counted = await found('the refusals are logged', async () => {
      const refused = await events('type=job.refused')
      const counts = refused.map(({ opening }) => Number(opening?.detail['count']))
      return counts.reduce((sum, count) => sum + count, 0) === 3 ? refused : undefined
    })
    expect(counted[0]?.opening?.detail).toMatchObject({
      code: 'residency_unsatisfiable',
      rule: 'compute.allow',
      policyId: 'open-eu',
      by: expect.stringMatching(/^key_acme_/),
    })
  })

  it('is exported as JSON lines and as CSV, and the exports are logged', async () => {
    const lines = (await text('/v1/audit/export')).trim().split('\n')
    const entries = lines.map((line) => LogEntry.parse(JSON.parse(line)))
    expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, i) => i))
    const [head, ...rows] = parseCsv(await text('/v1/audit/export?format=csv'))
    expect(head?.slice(0, 4)).toEqual(['sequence', 'time', 'type', 'job'])
    expect(rows.some(([, , type, job]) => type === 'job.placed' && job === jobId)).toBe(true)
    const exported = await events('type=audit.exported')
    expect(exported.map(({ opening }) => opening?.detail['format'])).toEqual(['csv', 'jsonl'])
  })

  it('is exported and bundled by time, policy and type, and no parameter is ignored', async () => {
    const types = async (query: string) => {
      const lines = (await text(`/v1/audit/export?${query}`)).split('\n')
      return lines.filter((line) => line).map((line) => LogEntry.parse(JSON.parse(line)).type)
    }
    expect(new Set(await types('type=job.placed'))).toEqual(new Set(['job.placed']))
    const admitted = await types('policy=open-eu&type=job.admitted')
    expect(new Set(admitted)).toEqual(new Set(['job.admitted']))
    expect(await types('policy=nobody')).toEqual([])
    const tomorrow = new Date(Date.now() + 86_400_000).toISOString()
    expect(await types(`from=${tomorrow}`)).toEqual([])
    const bundled = AuditBundle.parse(
      JSON.parse(await text(`/v1/audit/bundle?from=2026-01-01&policy=open-eu&type=job.placed`)),
    )
    expect(bundled.selection).toMatchObject({ policy: 'open-eu', type: 'job.placed' })
    expect(bundled.policies.map(({ policy }) => policy.id)).toEqual(['open-eu'])
    expect(bundled.entries.map(({ sequence }) => sequence)).toEqual(
      bundled.entries.map((_, i) => i),
    )
    const refused = ['export?kind=x', 'bundle?since=1', 'events?policies=x', 'export?to=now']
    const unclear = ['bundle?to=', 'bundle?policy=open-eu&policy=other', 'events?type=']
    for (const path of [...refused, ...unclear])
      expect(await text(`/v1/audit/${path}`)).toContain('"status":400')
  })

  it('is bundled whole where no range is named, and is searched by days', async () => {
    const { entries } = AuditBundle.parse(JSON.parse(await text('/v1/audit/bundle')))
    expect(entries.map(({ sequence }) => sequence)).toEqual(entries.map((_, i) => i))
    const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10)
    expect(await events(`from=${dayOf(Date.now() - 86_400_000)}`)).not.toEqual([])
    expect(await events(`from=${dayOf(Date.now() + 2 * 86_400_000)}`)).toEqual([])
    // A range of days includes its last day.
    const lastMs = entries.at(-1)?.atMs ?? 0
    const day = dayOf(lastMs)
    expect(await events(`from=${day}&to=${day}&limit=1`)).not.toEqual([])
    const ofDay = AuditBundle.parse(
      JSON.parse(await text(`/v1/audit/bundle?from=${day}&to=${day}`)),
    )
    expect(ofDay.entries.map(({ sequence }) => sequence)).toContain(entries.at(-1)?.sequence)
    expect(ofDay.selection.toMs).toBe(Date.parse(day) + 86_399_999)
    expect(await text('/v1/audit/events?from=yesterday')).toContain('write a time as 2026-11-22')
  })

  it('appears in the record of processing, and only for its own tenant', async () => {
    const record = RopaReply.parse((await stack.get(tenant, '/v1/compliance/ropa')).body)
    const own = record.activities.find(({ activity }) => activity === 'open-eu@1')
    expect(own?.placements).toMatchObject([{ country: 'FR', jobs: 1, transfer: 'inside the EEA' }])
    for (const path of ['/v1/audit/events', `/v1/jobs/${jobId}/proof`, '/v1/compliance/ropa'])
      expect((await stack.get(other, path)).body).toMatchObject({ code: 'forbidden' })
    const rival = await stack.createTenant('rival-audit', ['audit', 'infer'])
    expect((await stack.get(rival, `/v1/jobs/${jobId}/proof`)).body).toMatchObject({
      code: 'not_found',
    })
  })

  it('is routed by groups whose members, source, date and gaps are public', async () => {
    const answer = await fetch(`${stack.url}/v1/compliance/jurisdictions`)
    const { groups, infrastructure } = JurisdictionsReply.parse(await answer.json())
    expect(infrastructure.length).toBeGreaterThan(3)
    const told = new Map(groups.map((group) => [group.name, group]))
    expect([...told.keys()].toSorted()).toEqual(['ADEQUATE', 'EEA', 'EU', 'US_ALL', 'WORLD'])
    for (const { source, asOf } of groups) {
      expect(source).toMatch(/^https:/)
      expect(asOf).toMatch(/^\d{4}-\d{2}-\d{2}$/)
    }
    const [eu, adequate] = [told.get('EU'), told.get('ADEQUATE')]
    expect(eu?.countries).toHaveLength(27)
    expect(eu?.countries).not.toEqual(expect.arrayContaining([expect.stringMatching(OUTERMOST)]))
    for (const notes of [eu?.notes, told.get('EEA')?.notes, adequate?.notes])
      expect(notes?.join()).toContain('leaves out GP, RE, GF, MQ, YT, MF and AX')
    expect(adequate?.countries).toContain('GB')
    expect(adequate?.notes.join()).toMatch(/holds GB: .* end on 27 December 2031/)
  })

  it('[AU8] can be erased while its receipt is still at the hub', async () => {
    const { headers } = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
    const id = headers.get('x-littoral-receipt') ?? ''
    const fresh = ReceiptDocument.parse((await stack.get(tenant, `/v1/receipts/${id}`)).body)
    const { jobId: freshJob } = fresh.receipt.receipt.ticket
    const { body: erased } = await stack.delete(tenant, `/v1/jobs/${freshJob}`)
    expect(ErasureReply.parse(erased)).toMatchObject({ receipts: 1 })
    expect((await stack.get(tenant, `/v1/receipts/${id}`)).status).toBe(404)
    expect(await events(`job=${freshJob}`)).toEqual([])
  })

  it('[AU8] is erased with its receipt, and the log proves the erasure', async () => {
    const remove = (by: Tenant) => stack.delete(by, `/v1/jobs/${jobId}`)
    expect((await remove(other)).status).toBe(403)
    const { status, body } = await remove(tenant)
    expect(status).toBe(200)
    const erasure = ErasureReply.parse(body)
    expect(erasure).toMatchObject({ receipts: 1, held: [] })
    const head = parseLogHead(parseNote(erasure.checkpoint ?? '')?.text ?? '')
    const proven = verifyInclusion({
      index: erasure.sequence,
      size: head?.size ?? 0,
      root: head?.root ?? '0x',
      leaf: toHex(leafHash(leafBytes(erasure.entry))),
      proof: erasure.proof ?? [],
    })
    expect(proven).toBe(true)
    expect(await events(`job=${jobId}`)).toEqual([])
    expect((await stack.get(tenant, `/v1/receipts/${receiptId}`)).status).toBe(404)
    expect((await stack.get(tenant, `/v1/jobs/${jobId}/proof`)).status).toBe(404)
    expect((await remove(tenant)).status).toBe(404)
  })
})
