/** Measures a request at the edge: our Worker and hub against an AI gateway, the runtime's floor, a bare route and a plain proxy. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startFloor } from '../gateway/floor.ts'
import { embeddingCall } from '../gateway/full-path.ts'
import { BARE_ROUTE, callsTo, PLAIN_PROXY, startPeer } from '../gateway/peers.ts'
import { startPortkey } from '../gateway/portkey.ts'
import {
  contenderOf,
  FLOOR,
  FULL_PATH,
  pacedContenderOf,
  PORTKEY,
  targetsOf,
  type Target,
} from '../gateway/targets.ts'
import { startChild } from '../harness/child.ts'
import type { BenchContext } from '../harness/context.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Comparison,
  type Section,
} from '../harness/harness.ts'
import { createHttpClient, type HttpClient } from '../harness/http-client.ts'

const IN_FLIGHT = 32
/** Requests of the full path before the first round: half of them 32 at once, half one at a time. */
const WARM_UPS = 1000
/** Sockets of a client. Requests at a fixed rate may overlap more than 32 times; a hub would refuse over 192 of one tenant. */
const SOCKETS = 96
const PACED_SECONDS = 10
/** Size of a job's message to the node, which is larger than its answer (test/p2p/hub/cost.test.ts prints both). */
const MESSAGE_BYTES = 2_200

const COMPARISONS: readonly Comparison[] = [
  { of: FULL_PATH, to: PORTKEY, metric: 'cpuMs' },
  { of: FULL_PATH, to: PORTKEY, metric: 'answeringCpuMs', peerMetric: 'cpuMs' },
  { of: FULL_PATH, to: PORTKEY, metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: FULL_PATH, to: FLOOR, metric: 'cpuMs' },
  { of: FULL_PATH, to: FLOOR, metric: 'answeringCpuMs', peerMetric: 'cpuMs' },
  { of: FULL_PATH, to: FLOOR, metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: FULL_PATH, to: FLOOR, metric: 'nodeCpuMs' },
  { of: FLOOR, to: PORTKEY, metric: 'cpuMs' },
  { of: FLOOR, to: PORTKEY, metric: 'latencyMs' },
  { of: FULL_PATH, to: 'proxy', metric: 'cpuMs' },
  { of: FULL_PATH, to: 'bare route', metric: 'cpuMs' },
  { of: FULL_PATH, to: 'proxy', metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: FULL_PATH, to: 'proxy', metric: 'latencyMs' },
  { of: 'Worker alone', to: PORTKEY, metric: 'cpuMs' },
  { of: 'Worker alone', to: 'bare route', metric: 'cpuMs' },
  { of: 'Worker alone', to: 'proxy', metric: 'cpuMs' },
  { of: 'Worker alone', to: 'bare route', metric: 'latencyMs' },
]

export async function measureGateway(context: BenchContext): Promise<BenchResult> {
  const { dir, log, quick, stack } = context
  const running = await stack.running()
  const clients: HttpClient[] = []
  const connect = (url: string) => {
    const client = createHttpClient(url, SOCKETS)
    clients.push(client)
    return client
  }
  const ours = connect(running.url)
  const answerFile = join(dir, 'answer.json')
  writeFileSync(answerFile, (await ours.send(embeddingCall(running))).body)
  const upstream = await startChild(new URL('../gateway/upstream.ts', import.meta.url), [
    answerFile,
  ])
  const peer = { dir, log, vars: callsTo(upstream.firstLine) }
  const bare = await startPeer({ ...peer, name: 'bare', source: BARE_ROUTE })
  const proxy = await startPeer({ ...peer, name: 'proxy', source: PLAIN_PROXY })
  const floor = await startFloor({ dir, log, answerFile, messageBytes: MESSAGE_BYTES })
  const portkey = await startPortkey(upstream.firstLine)
  try {
    const targets = targetsOf(running, {
      bare: { client: connect(bare.url), pid: bare.pid },
      proxy: { client: connect(proxy.url), pid: proxy.pid },
      floor: { client: connect(floor.url), pid: floor.pid, nodePid: floor.nodePid },
      portkey: { client: connect(portkey.url), pid: portkey.pid, headers: portkey.headers },
      ours: { client: ours, pid: running.workerdPid, nodePid: running.nodePid },
    })
    // A warm-up round has 1,000 requests for Portkey and 100 for the full path, too few for V8 to compile it.
    for (const inFlight of [IN_FLIGHT, 1])
      await drive({ count: WARM_UPS / 2, inFlight }, () => ours.send(embeddingCall(running)))
    const section = (name: string, inFlight: number) =>
      measureSection({
        name,
        contenders: targets.map((target) => contenderOf(target, { inFlight, quick })),
        comparisons: COMPARISONS,
        rounds: quick ? 2 : 5,
      })
    const alone = await section('one request at a time', 1)
    const busy = await section(`${IN_FLIGHT} requests at once`, IN_FLIGHT)
    return {
      name: 'gateway',
      title:
        'CPU and latency of one request at the edge, each Worker in a plain workerd process, Portkey in Node',
      sections: [alone, busy, await measureHalfLoad(targets, busy, quick)],
      includes: Object.fromEntries(targets.map(({ name, includes }) => [name, includes])),
      notes: NOTES,
    }
  } finally {
    for (const client of clients) client.close()
    const peers = [bare, proxy, floor, portkey, upstream]
    await Promise.all(peers.map((each) => each.close()))
  }
}

/** Sends requests at half the rate that the full path has just reached, and shows how late their answers are. */
function measureHalfLoad(
  targets: readonly Target[],
  { figures }: Section,
  quick: boolean,
): Promise<Section> {
  const most = figures.find(
    ({ contender, metric }) => contender === FULL_PATH && metric === 'requestsPerSecond',
  )
  const perSecond = (most?.median ?? 0) / 2
  const seconds = quick ? PACED_SECONDS / 5 : PACED_SECONDS
  return measureSection({
    name: `${perSecond.toFixed(0)} requests a second, half of what the full path reached`,
    contenders: targets
      .filter(({ name }) => name === FULL_PATH || name === FLOOR)
      .map((target) => pacedContenderOf(target, { perSecond, seconds })),
    comparisons: [
      { of: FULL_PATH, to: FLOOR, metric: 'cpuMs' },
      { of: FULL_PATH, to: FLOOR, metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
    ],
    rounds: quick ? 2 : 5,
  })
}

const NOTES = [
  'CPU is user and system time of that process divided by the requests of a repetition; client, upstream and node are other processes.',
  'With 32 at once the latency of the full path is that of one node with two slots, on the same cores as everything else.',
  'Requests a second include the client, which shares the cores. At a fixed rate a latency begins when the request was due.',
]
