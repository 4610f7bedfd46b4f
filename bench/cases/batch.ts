/** Measures what a batch gains from more nodes: 64 tiles over 1, 2 and 4 nodes, and the scheduler over nodes that only wait. */
import { join } from 'node:path'
import { runBatch, type Endpoint } from '#examples/jobs-client.ts'
import { pictureBatch, type Picture } from '#examples/path-tracer-scene.ts'
import { invariant } from '#shared/base/errors.ts'
import { randomBytes } from '#shared/base/ids.ts'
import { silentLog } from '#shared/base/log.ts'
import { countryBit } from '#shared/law/region.ts'
import { createBatchCore } from '#worker/jobs/core.ts'
import type { BatchSpec } from '#worker/protocols/batch.ts'
import type { BenchContext } from '../harness/context.ts'
import { openStack } from '../harness/open-stack.ts'
import {
  measureSection,
  type BenchResult,
  type Contender,
  type Section,
} from '../harness/harness.ts'
import { rangeBatch, resultOf } from '#test/support/storage/batch.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

const COUNTRIES = ['DE', 'FR', 'IT', 'ES'] as const
const NODE_COUNTS = [1, 2, 4] as const
const PICTURE: Picture = { tiles: 8, tilePixels: 48, samples: 2, passes: 1, seed: 1 }
/** Time that a waiting node takes for one job. */
const WAIT_MS = 50
const ITEMS = 64
/** Bytes of an output, as of a tile. */
const TILE_BYTES = 27_648

export async function measureBatch(context: BenchContext): Promise<BenchResult> {
  const rounds = context.quick ? 2 : 5
  const sections = [await measureTiles(context, rounds), await measureScheduler(rounds)]
  return {
    name: 'batch',
    title: `${ITEMS} tiles over 1, 2 and 4 nodes: time from submission to the end of the batch`,
    sections,
    includes: INCLUDES,
    notes: [
      'All nodes share the cores and the adapter of this machine: with a software adapter the first section does not show what four machines would gain.',
      'All four nodes run all the time; a batch gets fewer by narrowing the policy to their countries.',
      `In the second section nothing computes: 1 node needs at least ${ITEMS * WAIT_MS} ms, and the rest is the batch's own work.`,
    ],
  }
}

const nameOf = (count: number) => (count === 1 ? '1 node' : `${count} nodes`)

const INCLUDES = Object.fromEntries(
  NODE_COUNTS.map((count) => [
    nameOf(count),
    'first section: POST /v1/jobs, Batch, hub, nodes, receipts, results stored; second: the same Batch core over timers',
  ]),
)

const COMPARISONS = NODE_COUNTS.slice(1).map((count) => ({
  of: nameOf(count),
  to: nameOf(1),
  metric: 'batchMs',
}))

async function measureTiles({ dir, log }: BenchContext, rounds: number): Promise<Section> {
  const { stack, ...endpoint } = await openStack({ dir: join(dir, 'batch'), log })
  try {
    for (const region of COUNTRIES)
      await stack.startNode({ name: region.toLowerCase(), region, verified: false })
    return await measureSection({
      name: `${ITEMS} tiles of ${PICTURE.tilePixels}×${PICTURE.tilePixels} pixels, ${PICTURE.samples} paths each`,
      contenders: NODE_COUNTS.map((count) => tileRun(endpoint, count)),
      comparisons: COMPARISONS,
      rounds,
    })
  } finally {
    await stack.close()
  }
}

function tileRun(endpoint: Endpoint, count: number): Contender {
  const residency = { allow: COUNTRIES.slice(0, count) }
  return {
    name: nameOf(count),
    async run() {
      const { status } = await runBatch(endpoint, { ...pictureBatch(PICTURE), residency })
      if (status.nodes.length > count) throw new Error('a node outside the narrowing was used')
      return { batchMs: [(status.finishedAtMs ?? 0) - status.createdAtMs] }
    },
  }
}

async function measureScheduler(rounds: number): Promise<Section> {
  return await measureSection({
    name: `nodes that only wait, ${WAIT_MS} ms a job, one at a time`,
    contenders: NODE_COUNTS.map((count) => ({
      name: nameOf(count),
      async run() {
        const batchMs = await runWaiting(count)
        return { batchMs: [batchMs], overIdealMs: [batchMs - (ITEMS * WAIT_MS) / count] }
      },
    })),
    comparisons: COMPARISONS,
    rounds,
  })
}

/** Runs the real core on real SQLite; a queue for each node stands in for the network. */
async function runWaiting(nodes: number): Promise<number> {
  const free = Array.from({ length: nodes }, () => Promise.resolve())
  let turn = 0
  const storage = createSqliteStorage()
  const batch = waitingBatch()
  const { keyId: id, policy: compiled } = batch
  const core = createBatchCore({
    storage,
    authority: async () => ({ keys: [{ id, scopes: ['infer'] }], policies: [{ compiled }] }),
    // The batch ends before its tenant would be asked again.
    pause: (_, signal) =>
      new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    resize: () => Promise.resolve(),
    nowMs: () => Date.now(),
    random: Math.random,
    randomBytes,
    log: silentLog,
    wake: () => {},
    forget: () => Promise.resolve(),
    send: () => Promise.reject(new Error('there is no webhook')),
    async dispatch({ request }) {
      const node = turn++ % nodes
      const mine = (free[node] ?? Promise.resolve()).then(
        () => new Promise<void>((resolve) => setTimeout(resolve, WAIT_MS)),
      )
      free[node] = mine
      await mine
      return resultOf(request, new Uint8Array(TILE_BYTES), 'waiting')
    },
  })
  const startedMs = performance.now()
  core.create(batch, { shared: new Uint8Array(), reduce: new Uint8Array(), items: [] })
  await core.drive()
  const tookMs = performance.now() - startedMs
  const { counts } = core.status(countryBit('DE'))
  storage.close()
  if (counts.done !== ITEMS) throw new Error(`${counts.done} of ${ITEMS} items were done`)
  return tookMs
}

/** One input buffer of 16 bytes and an output of a tile for each item. */
function waitingBatch(): BatchSpec {
  const [batch] = rangeBatch(ITEMS, { concurrency: 16 })
  const work = batch.template?.work
  invariant(work?.kind === 'kernel', 'the batch runs a kernel')
  const [input, output] = work.buffers
  invariant(input !== undefined && output !== undefined, 'the kernel has two buffers')
  const buffers = [input, { ...output, sizeBytes: TILE_BYTES }]
  const parts = [{ source: 'own' as const, sizeBytes: 16 }]
  return { ...batch, template: { work: { ...work, buffers }, parts, units: 1 } }
}
