import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'
import type { z } from 'zod'
import { EarningsReply } from '#shared/api/network.ts'
import { ReceiptDocument } from '#shared/receipt/receipt.ts'
import { createSigner, importSigningKey } from '#shared/proof/signature.ts'
import { connect, PUBLISHED_OWNER_KEY } from '#scripts/stack/chain.ts'
import { createChainView } from '#shared/verify/chain-view.ts'
import { claimEarnings } from '#scripts/stack/claim-earnings.ts'
import { verifyReceipt } from '#shared/verify/receipt.ts'
import { erc20Abi } from 'viem'
import { useStack } from '#test/support/stack/stack.ts'
import { readExposition } from '#test/support/prometheus.ts'
import { until } from '#test/support/poll.ts'
import { openOnce } from '#test/support/open-once.ts'

const EMBEDDING = {
  model: 'littoral-embed-400k',
  input: ['turn on the kitchen light', 'is it private?'],
}

const said: string[] = []
const gaveUp: string[] = []
const { stack, tenant } = useStack({
  batchSeconds: 2,
  keeper: { say: (text) => said.push(text), giveUp: ({ detail }) => gaveUp.push(detail) },
  scopes: ['infer', 'policy', 'audit'],
})
const node = openOnce(() =>
  stack.startNode({ name: 'de', region: 'DE', device: 'cpu', verified: true }),
)
const signer = openOnce(async () =>
  createSigner(
    await importSigningKey(await readFile(join(node.stateDir, 'receipt-key.jwk'), 'utf8')),
  ),
)

async function answer(): Promise<string> {
  const { status, headers } = await stack.post(tenant, '/v1/embeddings', EMBEDDING)
  expect(status).toBe(200)
  return headers.get('x-littoral-receipt') ?? ''
}

async function document(id: string): Promise<ReceiptDocument> {
  return ReceiptDocument.parse((await stack.get(tenant, `/v1/receipts/${id}`)).body)
}

async function settled(id: string): Promise<ReceiptDocument> {
  await until('the receipt is settled', async () => (await document(id)).status === 'settled')
  return document(id)
}

async function earnings(): Promise<z.infer<typeof EarningsReply>> {
  const { x, y } = signer.publicKey
  const { body } = await stack.get(tenant, `/v1/earnings?x=${x}&y=${y}`)
  return EarningsReply.parse(body)
}

/** The hub's libp2p peer id and signing key. */
async function hubIdentity(): Promise<unknown> {
  const { body } = await stack.get(tenant, '/v1/network')
  const hubs = body.hubs as { peerId: string; hubKey: unknown }[]
  return hubs.map(({ peerId, hubKey }) => ({ peerId, hubKey }))
}

describe('an answered job', () => {
  it('has a receipt at once, which is settled and verified against the chain', async () => {
    const id = await answer()
    expect((await document(id)).receipt.id).toBe(id)
    const settledDocument = await settled(id)
    const chain = await createChainView(stack.chain.rpc, stack.deployment.settlement)
    const strict = await verifyReceipt(settledDocument, { chain })
    expect(strict.ok).toBe(false)
    const open = strict.lines.filter(({ result }) => result !== 'passed')
    expect(open.map(({ detail }) => detail).join()).toContain('simulated')
    expect((await verifyReceipt(settledDocument, { chain, allowSimulated: true })).ok).toBe(true)
  })

  it('[R12] has a receipt that another tenant cannot read; its id may be in upper or lower case', async () => {
    const id = await answer()
    expect((await document(id.toUpperCase())).receipt).toEqual((await document(id)).receipt)
    const stranger = await stack.createTenant('stranger', ['infer', 'audit'])
    const { status, body } = await stack.get(stranger, `/v1/receipts/${id}`)
    expect(status).toBe(404)
    expect(JSON.stringify(body)).not.toContain(node.nodeId)
  })

  it('[R11] is paid exactly once even if workerd is killed between answer and batch', async () => {
    const ids = [await answer(), await answer(), await answer()]
    const before = await hubIdentity()
    await stack.restartWorker('kill')
    expect(await hubIdentity()).toEqual(before)
    for (const id of ids) await settled(id)
    const perJob = 2n * 2n
    const jobs = BigInt(ids.length + 2)
    expect(BigInt((await earnings()).settledMicroUsd)).toBe(perJob * jobs)
    await until('the node is back', async () => {
      const { body } = await stack.get(tenant, '/v1/network/nodes')
      return (body.nodes as unknown[]).length === 1
    })
    const again = await answer()
    await settled(again)
    expect(BigInt((await earnings()).settledMicroUsd)).toBe(perJob * (jobs + 1n))
  })

  it('[R13] is paid out on the chain to the address that the receipt key signed, and a second claim pays nothing', async () => {
    const { claimable } = await earnings()
    if (claimable === null) throw new Error('nothing to claim')
    const to = privateKeyToAccount(generatePrivateKey()).address
    const { rpc } = stack.chain
    const { settlement, testUsd } = stack.deployment
    const balance = () =>
      connect(rpc).reader.readContract({
        address: testUsd,
        abi: erc20Abi,
        functionName: 'balanceOf',
        args: [to],
      })
    const claim = () =>
      claimEarnings({ rpc, settlement, signer, claimable, to, senderKey: PUBLISHED_OWNER_KEY })
    const { paidMicroUsd } = await claim()
    expect(paidMicroUsd).toBe(BigInt(claimable.cumulativeMicroUsd))
    expect(await balance()).toBe(paidMicroUsd)
    await expect(claim()).rejects.toThrow(/AlreadyPaid/)
    expect(await balance()).toBe(paidMicroUsd)
  })
})

describe('the metrics', () => {
  it('show nodes, jobs, receipts, batches and the balance of the poster', async () => {
    await settled(await answer())
    const families = readExposition(await (await fetch(`${stack.url}/metrics`)).text())
    const value = (name: string, labels: Record<string, string>) =>
      families
        .get(name)
        ?.samples.find((sample) =>
          Object.entries(labels).every(([label, text]) => sample.labels[label] === text),
        )?.value
    expect(value('littoral_nodes', { country: 'DE', tier: 'verified' })).toBe(1)
    expect(value('littoral_jobs_total', { hub: 'hub-0', outcome: 'answered' })).toBeGreaterThan(0)
    expect(value('littoral_queue_jobs', { hub: 'hub-0' })).toBe(0)
    expect(value('littoral_receipts', { state: 'settled' })).toBeGreaterThan(0)
    expect(value('littoral_batches_settled_total', {})).toBeGreaterThan(0)
    expect(value('littoral_poster_balance_ether', {})).toBeGreaterThan(0)
    const route = { route: '/v1/embeddings', le: '+Inf' }
    expect(value('littoral_http_request_duration_seconds', route)).toBeGreaterThan(0)
  })
})

describe('a chain, a Worker and a node that are killed', () => {
  it('are reported and restarted, and the next job is settled', async () => {
    const children = {
      'The chain (anvil)': stack.chain.pid,
      'The Worker (workerd)': stack.worker().pid,
      'Node de': node.pid,
    }
    for (const pid of Object.values(children)) process.kill(pid, 'SIGKILL')
    for (const name of Object.keys(children)) {
      await until(`${name} runs again`, () => said.includes(`${name} runs again`))
      expect(said.join('\n')).toContain(`${name} ended: signal SIGKILL`)
    }
    expect(gaveUp).toEqual([])
    expect((await settled(await answer())).status).toBe('settled')
    expect((await stack.get(tenant, '/v2/health/ready')).status).toBe(200)
  })
})
