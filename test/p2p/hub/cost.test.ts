/**
 * What a job costs, in counts that do not depend on the machine: they rise when somebody makes a job dearer. Lower a
 * limit here when a job has become cheaper. The jobs in flight end together, so groups of receipts are as large as they
 * get; how many end within a real window depends on the machine.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCountedEdge, type BothCounts, type Load } from '#test/support/counts/edge.ts'
import { causes, total, type Kind } from '#test/support/counts/tally.ts'

const JOBS = 224
const LOADS = { alone: 1, busy: 32 } as const
type Way = keyof typeof LOADS
/** Under load, receipts gather for their delivery until the last answer. */
const TAKE_MS = { alone: 10, busy: 0 } as const

interface Budget {
  /** `edge` is all of workerd: Worker, Hub, Tenant and Ledger. */
  readonly at: keyof BothCounts
  readonly what: string
  readonly kinds: readonly Kind[]
  /** Counts only what these places in the source cause. @default all */
  readonly by?: RegExp
  /** Most for each job, one at a time and 32 in flight. A little is left for what comes by the second. */
  readonly limit: readonly [alone: number, busy: number]
  /** Where the limits should come to. */
  readonly goal: readonly [alone: number, busy: number]
}

const one = (kind: Kind) => ({ what: kind, kinds: [kind] })
/** What runs in the Worker of each request, and the rest. */
const WORKER = /worker\/(?:gate|dispatch|http|api)\/|request-timer/
const OBJECTS = /^(?!.*(?:worker\/(?:gate|dispatch|http|api)\/|request-timer))/
const LINK: readonly Kind[] = ['messages to nodes', 'messages from nodes']

const BUDGETS: readonly Budget[] = [
  { at: 'edge', what: 'messages on the link', kinds: LINK, limit: [2.3, 1.5], goal: [3, 3] },
  { at: 'edge', ...one('bytes to nodes'), limit: [1_750, 1_750], goal: [1_500, 1_500] },
  { at: 'edge', ...one('bytes from nodes'), limit: [1_250, 1_450], goal: [1_500, 1_500] },
  // A Worker cannot share a timer between requests. The request's own watches its body, then the hub.
  {
    at: 'edge',
    ...one('timers'),
    by: WORKER,
    what: 'timers of the Worker',
    limit: [1, 1],
    goal: [1, 1],
  },
  {
    at: 'edge',
    ...one('timers'),
    by: OBJECTS,
    what: 'timers of the objects',
    limit: [0.1, 0.1],
    goal: [1, 1],
  },
  { at: 'edge', ...one('abort objects'), limit: [0.05, 0.05], goal: [1, 1] },
  // Under load: four groups of nodes are verified, and one is signed, for 32 jobs that end together.
  { at: 'edge', ...one('asymmetric operations'), limit: [3.05, 0.25], goal: [3, 0.3] },
  { at: 'edge', ...one('key objects'), limit: [0.05, 0.05], goal: [0, 0] },
  { at: 'edge', ...one('cipher objects'), limit: [2.3, 1.5], goal: [3, 3] },
  { at: 'edge', ...one('database writes'), limit: [1.4, 0.12], goal: [1, 0.2] },
  { at: 'edge', ...one('database commits'), limit: [1.2, 0.08], goal: [1, 0.2] },
  { at: 'edge', ...one('alarms'), limit: [0.05, 0.05], goal: [0.1, 0.05] },
  { at: 'edge', ...one('object calls'), limit: [1.15, 1.1], goal: [1.2, 1.2] },
  { at: 'edge', ...one('log lines'), limit: [0.05, 0.05], goal: [0.05, 0.05] },
  { at: 'nodes', ...one('timers'), limit: [0.05, 0.25], goal: [0.5, 0.5] },
  { at: 'nodes', ...one('abort objects'), limit: [1.1, 1.1], goal: [1, 1] },
  { at: 'nodes', ...one('asymmetric operations'), limit: [1.05, 0.25], goal: [1, 0.3] },
  { at: 'nodes', ...one('key objects'), limit: [0.05, 0.05], goal: [0, 0] },
  { at: 'nodes', ...one('cipher objects'), limit: [2.3, 1.5], goal: [3, 3] },
  { at: 'nodes', ...one('durable writes'), limit: [1.05, 0.25], goal: [1, 0.5] },
  { at: 'nodes', ...one('log lines'), limit: [0.05, 0.05], goal: [0.05, 0.05] },
]

/** A job without any of these was not answered, or was not counted. */
const NEVER_NONE: Readonly<Record<keyof BothCounts, readonly Kind[]>> = {
  edge: [...LINK, 'asymmetric operations', 'database writes', 'object calls'],
  nodes: ['asymmetric operations', 'durable writes'],
}

let counted: Readonly<Record<Way, BothCounts>>
let planted: BothCounts

beforeAll(async () => {
  const edge = await startCountedEdge()
  try {
    const load = (way: Way, jobs: number): Load => ({
      jobs,
      inFlight: LOADS[way],
      takeMs: TAKE_MS[way],
    })
    // The first jobs import keys and compile policies, and a node gets twice as many at once after each answer.
    for (const jobs of [4, 8, 16, 32])
      await edge.answer({ jobs, inFlight: jobs, takeMs: TAKE_MS.busy })
    counted = {
      alone: await edge.answer(load('alone', JOBS)),
      busy: await edge.answer(load('busy', JOBS)),
    }
    planted = await edge.count(plantCosts)
  } finally {
    await edge.close()
  }
})

afterAll(() => console.log(formatTable()))

describe.each(['alone', 'busy'] as const)('a job, %s,', (way) => {
  it.each(BUDGETS)('[ME9] takes at most its $what at the $at', (budget) => {
    const limit = budget.limit[way === 'alone' ? 0 : 1]
    expect(perJob(budget, way), explain(budget, way)).toBeLessThanOrEqual(limit)
  })

  it('is counted', () => {
    for (const at of ['edge', 'nodes'] as const)
      for (const kind of NEVER_NONE[at]) expect(total(counted[way][at], kind), kind).not.toBe(0)
    expect(counted[way].edge['object calls']?.['Hub.fetch']).toBe(JOBS)
  })
})

describe('a cost', () => {
  it.each([
    'timers',
    'abort objects',
    'log lines',
    'key objects',
    'asymmetric operations',
  ] as const)('of the kind %s is counted where it is caused', (kind) =>
    expect(total(planted.edge, kind)).toBeGreaterThanOrEqual(1),
  )
})

async function plantCosts(): Promise<void> {
  clearTimeout(setTimeout(() => {}, 1))
  AbortSignal.any([new AbortController().signal])
  console.log(JSON.stringify({ level: 'info', event: 'cost.planted' }))
  const key = { name: 'ECDSA', namedCurve: 'P-256' } as const
  const { privateKey, publicKey } = await crypto.subtle.generateKey(key, true, ['sign', 'verify'])
  await crypto.subtle.sign({ ...key, hash: 'SHA-256' }, privateKey, new Uint8Array(32))
  const raw = await crypto.subtle.exportKey('raw', publicKey)
  await crypto.subtle.importKey('raw', raw, key, false, ['verify'])
}

function perJob(budget: Budget, way: Way): number {
  return causesOf(budget, way).reduce((sum, [, count]) => sum + count, 0) / JOBS
}

function causesOf({ at, kinds, by }: Budget, way: Way): [cause: string, count: number][] {
  const all = kinds.flatMap((kind) => causes(counted[way][at], kind))
  return by === undefined ? all : all.filter(([cause]) => by.test(cause))
}

/** Names what caused the counts, so that a broken limit says where to look. */
function explain(budget: Budget, way: Way): string {
  const lines = causesOf(budget, way)
  return `for ${JOBS} jobs: ${lines.map(([cause, count]) => `${count} × ${cause}`).join(', ')}`
}

function formatTable(): string {
  const digits = (value: number) => (value >= 100 ? value.toFixed(0) : value.toFixed(2))
  const rows = BUDGETS.flatMap((budget) =>
    (['alone', 'busy'] as const).map((way, index) => {
      const { at, what, limit, goal } = budget
      const costs = [perJob(budget, way), limit[index] ?? 0, goal[index] ?? 0]
      const name = `${at}: ${what}, ${LOADS[way]} in flight`
      return [name.padEnd(46), ...costs.map((cost) => digits(cost).padStart(8))].join(' ')
    }),
  )
  const head = ['for each job'.padEnd(46), '   count', '   limit', '    goal'].join(' ')
  return [head, ...rows].join('\n')
}
