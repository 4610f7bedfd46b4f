/**
 * A request with an idempotency key is paid once, whatever dies. Answers, deliveries and restarts are lost at random.
 * Tenant and ledger cores are real, and each of the two hubs settles in a ledger of its own.
 */
import fc from 'fast-check'
import { beforeAll, expect, it } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import {
  createReceiptMaker,
  groupOf,
  nowOfReceipts,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import { DOMAIN, openLedger } from '#test/support/storage/ledger.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'
import { createTenantCore } from '#worker/tenant/core.ts'
import { IDEMPOTENCY_LEASE_MS } from '#worker/tenant/idempotency/idempotency-store.ts'

const ANSWER = { status: 200, headers: {}, body: null }
const KEYS = 3
const HUBS = 2

let maker: ReceiptMaker
beforeAll(async () => {
  maker = await createReceiptMaker(DOMAIN, 2)
})

async function createScene() {
  let nowMs = nowOfReceipts()
  const storage = createSqliteStorage()
  const open = () => createTenantCore({ storage, nowMs: () => nowMs, random: randomBytes })
  let tenant = open()
  await tenant.keys.create({ tenant: TenantId.parse('acme'), scopes: ['infer'], networks: [] })
  const hubs = Array.from({ length: HUBS }, () => ({
    outbox: [] as SignedReceipt[],
    ledger: openLedger({ storage: createSqliteStorage(), chain: null, nowMs: () => nowMs }),
  }))
  const receipts = new Map<number, SignedReceipt[]>()

  return {
    hubs,
    receipts,
    /** Sends the request of a key. A node of one hub answers it, and then a process may die. */
    async send(key: number, hub: number, end: 'answered' | 'died' | 'gave up') {
      const name = String(key + 1).repeat(64)
      const request = { key: `0x${name}`, fingerprint: `0x${name}` } as const
      const verdict = await tenant.idempotency.begin(request)
      if (verdict.kind !== 'run') return
      const { jobId, firstAttempt: attempt } = verdict.once
      const receipt = await maker.make({ jobId, attempt, node: hub })
      receipts.set(key, [...(receipts.get(key) ?? []), receipt])
      hubs[hub]?.outbox.push(receipt)
      const hold = { ...request, token: verdict.token }
      if (end === 'answered') tenant.idempotency.complete(hold, ANSWER)
      if (end === 'gave up') tenant.idempotency.release(hold, true)
      if (end === 'died') nowMs += IDEMPOTENCY_LEASE_MS
    },
    /** Delivers to tenant, then ledger, then clears the outbox. When killed in between, all is repeated. */
    async deliver(hub: number, until: 'tenant' | 'ledger' | 'outbox') {
      const { outbox, ledger } = hubs[hub] ?? {}
      if (outbox === undefined || ledger === undefined || outbox.length === 0) return
      const group = groupOf(outbox.map((receipt) => ({ receipt })))
      const { later } = tenant.receipts.record(group)
      if (until === 'tenant') return
      await ledger.accept(group, later)
      if (until === 'outbox') outbox.length = 0
    },
    restart: () => void (tenant = open()),
  }
}

const hub = fc.nat({ max: HUBS - 1 })
const step = fc.oneof(
  fc.record({
    kind: fc.constant('send' as const),
    key: fc.nat({ max: KEYS - 1 }),
    hub,
    end: fc.constantFrom('answered' as const, 'died' as const, 'gave up' as const),
  }),
  fc.record({
    kind: fc.constant('deliver' as const),
    hub,
    until: fc.constantFrom('tenant' as const, 'ledger' as const, 'outbox' as const),
  }),
  fc.record({ kind: fc.constant('restart' as const) }),
)

it('a request that is repeated until it is answered is one job and one charge', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 30 }), async (steps) => {
      const scene = await createScene()
      for (const each of steps) {
        if (each.kind === 'send') await scene.send(each.key, each.hub, each.end)
        else if (each.kind === 'deliver') await scene.deliver(each.hub, each.until)
        else scene.restart()
      }
      for (let at = 0; at < HUBS; at += 1) await scene.deliver(at, 'outbox')
      for (const receipts of scene.receipts.values()) {
        expect(new Set(receipts.map(({ receipt }) => receipt.ticket.jobId)).size).toBe(1)
        expect(new Set(receipts.map(({ receipt }) => receipt.ticket.attempt)).size).toBe(
          receipts.length,
        )
        const ids = receipts.map(({ id }) => id)
        const states = await Promise.all(scene.hubs.map(({ ledger }) => ledger.status(ids)))
        const paid = states.flat().filter(({ status }) => status !== 'refused')
        expect(paid).toHaveLength(1)
        expect(states.flat()).toHaveLength(ids.length)
      }
    }),
    { numRuns: 40 },
  )
})
