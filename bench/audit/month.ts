/** A month of one tenant as a bundle in a file: written as it is made, so that only the log's database grows. */
import { closeSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { toHex } from 'viem'
import type { Pins } from '#scripts/verify/pins.ts'
import { receiptIdOf, checkpointLeaf } from '#shared/audit/entries.ts'
import { NOT_NARROWED, type BundledBatch, type BundledJob } from '#shared/audit/bundle.ts'
import { createLogSigner } from '#shared/audit/checkpoint.ts'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes, type Bytes32 } from '#shared/base/ids.ts'
import { buildMerkleTree } from '#shared/receipt/merkle.ts'
import { countryBit, onlyCountry } from '#shared/law/region.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { readProven } from '#test/support/storage/bundle.ts'
import {
  createReceiptMaker,
  EU_POLICY_TEXT,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import type { DurableStorage } from '#worker/platform/storage.ts'
import { createTenantCore, type TenantCore } from '#worker/tenant/core.ts'
import { openFileStorage } from './storage.ts'

const DOMAIN = { chainId: 31_337, verifyingContract: `0x${'5e'.repeat(20)}` } as const
const JOBS_A_BATCH = 500
const PLACES = ['DE', 'FR', 'NL', 'IE', 'ES']
/** The month ends an hour ago, so that no receipt is of the future. */
const HOUR_MS = 3_600_000

export interface Month {
  readonly file: string
  readonly pins: Pins
}

interface Settled {
  readonly batch: BundledBatch
  readonly pinned: Pins['batches'][number]
  readonly proof: (index: number) => Bytes32[]
}

export async function writeMonth(dir: string, jobCount: number): Promise<Month> {
  const maker = await createReceiptMaker(DOMAIN)
  const seed = toHex(randomBytes(32))
  const storage = openFileStorage(join(dir, 'month.sqlite'))
  const log = { domain: DOMAIN, seed }
  const core = createTenantCore({ storage, nowMs: Date.now, random: randomBytes, log })
  await core.createKey({ tenant: TENANT, scopes: ['infer'], networks: [] })
  core.publishPolicy(EU_POLICY_TEXT)
  const settled: Settled[] = []
  for (let done = 0; done < jobCount; done += JOBS_A_BATCH) {
    const receipts = await makeReceipts(maker, done, Math.min(JOBS_A_BATCH, jobCount - done))
    core.recordReceipts(receipts.map((receipt) => ({ receipt, salt: seed })))
    settled.push(settle(core, receipts, settled.length + 1))
  }
  const file = join(dir, 'month.json')
  await writeBundle(file, { core, storage, settled })
  storage.close()
  const { publicKey } = await createLogSigner(seed)
  const pins: Pins = {
    domain: DOMAIN,
    hubKeys: [maker.hub.publicKey],
    logKeys: [publicKey],
    attesters: [],
    heads: [],
    batches: settled.map(({ pinned }) => pinned),
  }
  return { file, pins }
}

function makeReceipts(maker: ReceiptMaker, first: number, count: number): Promise<SignedReceipt[]> {
  const issuedAtMs = Date.now() - HOUR_MS
  return Promise.all(
    Array.from({ length: count }, (_, i) => {
      const country = countryBit(PLACES[(first + i) % PLACES.length])
      return maker.make({
        place: { country, possible: onlyCountry(country) },
        ticket: { issuedAtMs, expiresAtMs: issuedAtMs + 120_000 },
      })
    }),
  )
}

function settle(core: TenantCore, receipts: readonly SignedReceipt[], batchId: number): Settled {
  const head = core.audit.head()
  invariant(head, 'the tenant has a log')
  const { tenant, size, root } = head
  const tree = buildMerkleTree(receipts.map(({ id }) => id))
  const checkpoint = { tenant, size, root }
  const logRoot = checkpointLeaf(checkpoint)
  const transactionHash = toHex(batchId, { size: 32 })
  return {
    batch: { batchId, logRoot, checkpoint, proof: [], consistency: [] },
    pinned: { batchId, receiptRoot: tree.root, logRoot, transactionHash, blockNumber: batchId },
    proof: (index) => tree.proof(index),
  }
}

async function writeBundle(file: string, { core, storage, settled }: Written): Promise<void> {
  const { note, size } = await core.audit.checkpoint()
  const out = openSync(file, 'w')
  const list = (name: string, elements: Iterable<unknown>) => {
    writeSync(out, `,"${name}":[`)
    let before = ''
    for (const element of elements) {
      writeSync(out, before + JSON.stringify(element))
      before = ','
    }
    writeSync(out, ']')
  }
  const head = {
    version: 2,
    tenant: TENANT,
    domain: DOMAIN,
    checkpoint: note,
    range: { from: 0, to: size },
    selection: NOT_NARROWED,
    settlesWithinMs: 60_000,
  }
  writeSync(out, JSON.stringify(head).slice(0, -1))
  list('policies', [{ version: 1, policy: EU_POLICY_TEXT }])
  list('edges', [])
  list('entries', readProven(storage, size))
  list('erasures', [])
  list('jobs', jobsOf({ core, storage, size, settled }))
  list(
    'batches',
    settled.map(({ batch }) => ({
      ...batch,
      consistency: core.audit.consistency({ from: batch.checkpoint.size, to: size }),
    })),
  )
  writeSync(out, '}')
  closeSync(out)
}

interface Written {
  readonly core: TenantCore
  readonly storage: DurableStorage
  readonly settled: readonly Settled[]
}

function* jobsOf({
  core,
  storage,
  size,
  settled,
}: Written & { readonly size: number }): Generator<BundledJob> {
  let index = 0
  for (const entry of readProven(storage, size)) {
    const id = receiptIdOf(entry)
    const receipt = id === undefined ? undefined : core.receipt(id)?.receipt
    if (receipt === undefined) continue
    const batch = settled[Math.floor(index / JOBS_A_BATCH)]
    invariant(batch, 'each job is in a batch')
    const { logRoot: _, ...posted } = batch.pinned
    const settlement = { ...posted, proof: batch.proof(index % JOBS_A_BATCH) }
    yield { receipt, evidence: null, settlement }
    index += 1
  }
}
