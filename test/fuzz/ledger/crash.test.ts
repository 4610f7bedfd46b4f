/** A Ledger that is killed between any two steps, on a chain that reverts, forgets and reorganises, posts and pays nothing twice. */
import { describe, expect, it } from 'vitest'
import { newJobId, type Address, type Bytes32 } from '#shared/base/ids.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import type { LedgerChain } from '#worker/ledger/chain/chain.ts'
import type { LedgerCore } from '#worker/ledger/core.ts'
import { createSqliteStorage, type TestStorage } from '#test/support/sqlite-storage.ts'
import { DOMAIN, openLedger } from '#test/support/storage/ledger.ts'
import { createModelChain, type ModelChain } from '#test/support/storage/model-chain.ts'
import {
  createReceiptMaker,
  groupOf,
  nowOfReceipts,
  type GroupEntry,
  type ReceiptMaker,
} from '#test/support/hub/receipts.ts'
import { createRandom, type Random } from '../../support/random.ts'

const CONSUMERS: readonly Address[] = [`0x${'c1'.repeat(20)}`, `0x${'c2'.repeat(20)}`]
const ROUNDS = 90
const CONFIRMATIONS = 2

class Killed extends Error {}

interface World {
  readonly random: Random
  readonly maker: ReceiptMaker
  readonly chain: ModelChain
  readonly storage: TestStorage
  readonly taken: Map<Bytes32, SignedReceipt>
  readonly isSteady: boolean
  nowMs: number
  death: Death
}

/** When a process dies: after some statements, or before or after the first call of a chain method. */
interface Death {
  readonly isDead: boolean
  readonly statementsLeft: number
  readonly edge: string | undefined
}

const IMMORTAL: Death = { isDead: false, statementsLeft: Infinity, edge: undefined }
const CALLS = ['position', 'estimate', 'sign', 'broadcast', 'fate', 'receiptRoot'] as const

/** One step of the process: a statement (no edge), or the begin or end of a chain call. */
function step(world: World, edge?: string): void {
  const { death } = world
  const statementsLeft = death.statementsLeft - (edge === undefined ? 1 : 0)
  const isDead = death.isDead || statementsLeft < 0 || (edge !== undefined && edge === death.edge)
  world.death = { ...death, statementsLeft, isDead }
  if (isDead) throw new Killed()
}

/** The chain for a process that may die before a call or before its answer. */
function mortal(world: World): LedgerChain {
  const through = { ...world.chain } as Record<string, unknown>
  for (const [name, call] of Object.entries(through)) {
    if (typeof call !== 'function') continue
    through[name] = async (...args: unknown[]) => {
      step(world, `before ${name}`)
      const answer: unknown = await (call as (...all: unknown[]) => unknown)(...args)
      step(world, `after ${name}`)
      return answer
    }
  }
  return through as unknown as LedgerChain
}

function start(world: World): LedgerCore {
  world.storage.beforeStatement = () => step(world)
  const { storage } = world
  const [chain, confirmations] = [mortal(world), CONFIRMATIONS]
  return openLedger({ storage, chain, confirmations, nowMs: () => world.nowMs })
}

/** Acts in a process that may be killed. Afterwards the process lives again on the same storage. */
async function live(world: World, act: (ledger: LedgerCore) => Promise<unknown>): Promise<void> {
  const { random } = world
  const kind = random.below(3)
  const edge = `${random.chance(0.5) ? 'before' : 'after'} ${CALLS[random.below(CALLS.length)]}`
  if (kind === 0) world.death = { ...IMMORTAL, statementsLeft: random.below(60) }
  if (kind === 1) world.death = { ...IMMORTAL, edge }
  try {
    await act(start(world))
  } catch (error) {
    if (!(error instanceof Killed)) throw error
  }
  world.death = IMMORTAL
}

async function bringReceipts(world: World, jobs: SignedReceipt['receipt']['ticket']['jobId'][]) {
  const { random, maker } = world
  const entries: GroupEntry[] = []
  for (let i = random.below(4); i >= 0; i -= 1) {
    const known = jobs[random.below(jobs.length + 1)]
    const jobId = known ?? newJobId((size) => random.bytes(size))
    if (known === undefined) jobs.push(jobId)
    const receipt = await maker.make({
      jobId,
      attempt: 1 + random.below(3),
      node: random.below(maker.nodes.length),
      units: random.below(20),
      priceMicroUsd: 1 + random.below(5),
    })
    world.taken.set(receipt.id, receipt)
    const consumer = random.chance(0.1) ? null : (CONSUMERS[random.below(2)] ?? null)
    entries.push({ receipt, consumer })
  }
  const group = groupOf(entries)
  await live(world, (ledger) => ledger.accept(group, []))
  await live(world, (ledger) => ledger.accept(group, []))
}

function disturb(world: World): void {
  const { random, chain } = world
  // Half of the games have a chain without reorganisations, because those can mend a Ledger's faults.
  const roll = random.below(world.isSteady ? 7 : 12)
  if (roll < 3 || roll === 11) chain.mine()
  if (roll === 3) chain.mineEmpty(1 + random.below(4))
  if (roll === 4) world.nowMs += 70_000
  if (roll === 7) chain.forgetPool()
  if (roll === 8) chain.reorganise(1 + random.below(3), random.chance(0.7))
  if (roll === 9) chain.reorganise(3 + random.below(8), true)
  const account = chain.accounts.get(CONSUMERS[random.below(2)] ?? `0x`)
  // A consumer's balance or limit changes, so that a pending batch may revert.
  if ((roll === 5 || roll === 10) && account !== undefined) {
    if (random.chance(0.5)) account.balance = BigInt(random.below(200))
    else account.limit = BigInt(random.below(200))
  }
}

/** Checks ledger and chain once all is quiet. */
async function check(world: World, ledger: LedgerCore): Promise<void> {
  const { chain, taken, maker } = world
  const statuses = await ledger.status([...taken.keys()])
  const settled = statuses.filter(({ status }) => status === 'settled')
  const jobsPaid = settled.map(({ id }) => taken.get(id)?.receipt.ticket.jobId)
  expect(new Set(jobsPaid).size, 'a job is paid once').toBe(jobsPaid.length)
  const leaves = chain.posted.reduce((sum, { receiptCount }) => sum + receiptCount, 0)
  expect(settled.length, 'settled here = leaves on the chain').toBe(leaves)
  const earned = chain.posted.reduce((sum, batch) => sum + batch.earned, 0n)
  const owed = settled.reduce(
    (sum, { id }) => sum + BigInt(taken.get(id)?.receipt.amountMicroUsd ?? 0),
    0n,
  )
  expect(owed, 'what was charged = what the receipts say').toBe(earned)
  let credited = 0n
  for (const { publicKey } of maker.nodes) {
    const { settledMicroUsd, claimable } = await ledger.earnings(publicKey)
    credited += BigInt(settledMicroUsd)
    if (claimable) expect(claimable.root, 'claimable').toBe(chain.posted.at(-1)?.earningsRoot)
  }
  expect(credited, 'what the keys were credited').toBe(earned)
  for (const { settlement } of settled)
    expect(settlement?.receiptRoot).toBe(chain.posted[(settlement?.batchId ?? 0) - 1]?.receiptRoot)
}

/** Without kills and with money for everybody, all payable receipts must settle. */
async function calmDown(world: World): Promise<LedgerCore> {
  for (const consumer of CONSUMERS)
    world.chain.accounts.set(consumer, { balance: 1_000_000n, limit: 1_000_000n })
  const ledger = start(world)
  for (let i = 0; i < 60; i += 1) {
    world.nowMs += 31_000
    await ledger.tick()
    world.chain.mine()
    world.chain.mineEmpty(CONFIRMATIONS)
  }
  return ledger
}

async function play(seed: number): Promise<void> {
  const maker = await createReceiptMaker(DOMAIN, 3)
  const world: World = {
    random: createRandom(seed),
    maker,
    chain: createModelChain(DOMAIN),
    storage: createSqliteStorage(),
    taken: new Map(),
    isSteady: seed % 2 === 0,
    nowMs: nowOfReceipts(),
    death: IMMORTAL,
  }
  world.chain.hubs.add(maker.hub.publicKey.x)
  for (const consumer of CONSUMERS)
    world.chain.accounts.set(consumer, { balance: 5_000n, limit: 100n })
  start(world)
  const jobs: SignedReceipt['receipt']['ticket']['jobId'][] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    if (world.random.chance(0.3)) await bringReceipts(world, jobs)
    await live(world, (ledger) => ledger.tick())
    disturb(world)
    world.nowMs += 1_000
  }
  const ledger = await calmDown(world)
  await check(world, ledger)
  const { pendingReceipts, fault } = await ledger.health()
  expect({ pendingReceipts, fault }).toEqual({ pendingReceipts: 0, fault: null })
  world.storage.close()
}

describe('[L6] a Ledger that is killed at any step', () => {
  // FUZZ_RUNS adds games. The seeds at the end once found faults.
  const length = Number(process.env.FUZZ_RUNS ?? 8)
  const seeds = [...Array.from({ length }, (_, i) => 1_000 + i), 1_013, 1_014, 1_053, 1_087, 1_136]
  it.each(seeds)('settles every payable receipt exactly once (seed %i)', (seed) => play(seed))
})
