/** Measures a session's step against a NATS request of the same bytes, and how many steps a second one stream takes. */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import type { SessionClient } from '#test/support/stack/session-client.ts'
import { NATS_MISSING, NATS_SUBJECT, startNats, type NatsServer } from '../dispatch/nats.ts'
import { startFloor } from '../gateway/floor.ts'
import { startChild, type Child } from '../harness/child.ts'
import type { BenchContext } from '../harness/context.ts'
import { contenderOf, LEAST_CPU_MS } from '../dispatch/repetition.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Comparison,
  type Contender,
  type Figure,
  type Section,
} from '../harness/harness.ts'
import { createHttpClient, type HttpClient } from '../harness/http-client.ts'
import type { Running } from '../harness/live-stack.ts'
import { summarize } from '../harness/statistics.ts'
import { openStream, pace, step, STEP_BYTES } from '../session/stream.ts'

const STEP = 'session step'
const NATS = 'NATS request'
const FLOOR = 'workerd floor'
/** Steps before the first round, so that V8 has compiled what they run. */
const WARM_UPS = 1000
const RATES = [25, 50, 75, 100, 150, 200, 300, 400, 600] as const
const PACED_SECONDS = 4
/** Steps come late when one in a hundred takes longer. */
const LATE_MS = 20

const COMPARISONS: readonly Comparison[] = [
  { of: STEP, to: NATS, metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: STEP, to: NATS, metric: 'latencyMs' },
  { of: STEP, to: NATS, metric: 'cpuMs' },
  { of: STEP, to: FLOOR, metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: STEP, to: FLOOR, metric: 'cpuMs' },
]

interface Peers {
  readonly running: Running
  readonly floor: { readonly client: HttpClient; readonly pids: readonly number[] }
  readonly nats:
    | {
        readonly server: NatsServer
        readonly answerer: Child
        readonly connection: NatsConnection
      }
    | undefined
}

export async function measureSession({
  dir,
  log,
  quick,
  stack,
}: BenchContext): Promise<BenchResult> {
  const running = await stack.running()
  const nats = await openNats()
  const floor = await startFloor({ dir, log, messageBytes: 0 })
  const client = createHttpClient(floor.url, 1)
  const stream = await openStream(running)
  try {
    const peers = { running, nats, floor: { client, pids: [floor.pid, floor.nodePid] } }
    const contenders = contendersOf(stream, peers)
    await drive({ count: quick ? WARM_UPS / 2 : WARM_UPS, inFlight: 1 }, () => step(stream))
    const known = new Set(contenders.map(({ name }) => name))
    const alone = await measureSection({
      name: `one step at a time, ${STEP_BYTES} bytes each way`,
      contenders,
      comparisons: COMPARISONS.filter(({ to }) => known.has(to)),
      rounds: quick ? 2 : 5,
    })
    return {
      name: 'session',
      title: 'a step of a session through Worker, hub and node, and one stream at fixed rates',
      sections: [alone, await measureRates(running, quick)],
      includes: INCLUDES,
      notes: [
        'CPU is of workerd and the node program, without the engine and the client; of NATS with its server and the answering process.',
        `A repetition lasts until its processes have used ${LEAST_CPU_MS} ms of CPU.`,
        `Steps within ${LATE_MS} ms: the highest rate at which 99 of 100 steps are answered in that time, and at every lower rate.`,
        ...(nats === undefined ? [NATS_MISSING] : []),
      ],
    }
  } finally {
    stream.close()
    client.close()
    await floor.close()
    await nats?.connection.close()
    await nats?.answerer.close()
    await nats?.server.close()
  }
}

const INCLUDES = {
  [STEP]:
    'one message of the session’s WebSocket each way; its job is chosen, ticketed, computed on the node that holds the state, receipted and stored like any other',
  [NATS]: 'request and reply through nats-server between two processes: nothing signed or kept',
  [FLOOR]:
    'an empty Worker, one call to a Durable Object, one WebSocket message to a Node program and one back, asked by HTTP',
}

async function openNats(): Promise<Peers['nats']> {
  const server = await startNats()
  if (server === undefined) return undefined
  const answerer = await startChild(new URL('../session/nats-end.ts', import.meta.url), [
    server.url,
  ])
  return { server, answerer, connection: await connect({ servers: server.url }) }
}

function contendersOf(stream: SessionClient, { running, nats, floor }: Peers): Contender[] {
  const payload = new Uint8Array(STEP_BYTES)
  const call = { method: 'POST', path: '/', body: payload } as const
  const contenders = [
    contenderOf(STEP, {
      inFlight: 1,
      pids: [running.workerdPid, running.nodePid],
      once: () => step(stream),
      computeMs: (ms) => ms,
    }),
    contenderOf(FLOOR, { inFlight: 1, pids: floor.pids, once: () => floor.client.send(call) }),
  ]
  if (nats === undefined) return contenders
  const { server, answerer, connection } = nats
  return [
    ...contenders,
    contenderOf(NATS, {
      inFlight: 1,
      pids: [server.pid, answerer.pid],
      once: () => connection.request(NATS_SUBJECT, payload),
    }),
  ]
}

interface Taken {
  readonly latencyMs: number[]
  readonly latencyLessComputeMs: number[]
}

async function measureRates(running: Running, quick: boolean): Promise<Section> {
  const seconds = quick ? PACED_SECONDS / 2 : PACED_SECONDS
  const byRate = new Map<number, Taken>()
  const reached: Reached[] = []
  for (let round = 0; round < (quick ? 1 : 3); round += 1) {
    const stream = await openStream(running)
    await pace(stream, { perSecond: RATES[0], count: RATES[0] })
    reached.push(await raise(stream, seconds, byRate))
    stream.close()
  }
  const contender = `within ${LATE_MS} ms`
  const most = (metric: keyof Reached) => summarize(reached.map((round) => round[metric]))
  return {
    name: 'one stream at fixed rates',
    ratios: [],
    figures: [
      { contender, metric: 'stepsPerSecond', ...most('all') },
      { contender, metric: 'stepsPerSecondLessCompute', ...most('lessCompute') },
      ...[...byRate].flatMap(([perSecond, taken]) => figuresOf(perSecond, taken)),
    ],
  }
}

/** The highest rates at which steps came in time, with the node's computing and without. */
interface Reached {
  readonly all: number
  readonly lessCompute: number
}

/** Raises the rate until the stream falls behind, or half of its steps come late. */
async function raise(
  stream: SessionClient,
  seconds: number,
  byRate: Map<number, Taken>,
): Promise<Reached> {
  let reached: Reached = { all: 0, lessCompute: 0 }
  let last = 0
  for (const perSecond of RATES) {
    const paced = await pace(stream, { perSecond, count: perSecond * seconds })
    if (paced === undefined) break
    const taken = byRate.get(perSecond) ?? { latencyMs: [], latencyLessComputeMs: [] }
    byRate.set(perSecond, taken)
    taken.latencyMs.push(...paced.latencyMs)
    taken.latencyLessComputeMs.push(...paced.latencyLessComputeMs)
    const [all, less] = [summarize(paced.latencyMs), summarize(paced.latencyLessComputeMs)]
    reached = {
      all: reached.all === last && all.p99 <= LATE_MS ? perSecond : reached.all,
      lessCompute:
        reached.lessCompute === last && less.p99 <= LATE_MS ? perSecond : reached.lessCompute,
    }
    if (less.median > LATE_MS) break
    last = perSecond
  }
  return reached
}

function figuresOf(perSecond: number, taken: Taken): Figure[] {
  return Object.entries(taken).map(([metric, values]) => ({
    contender: `${perSecond} steps a second`,
    metric,
    ...summarize(values as readonly number[]),
  }))
}
