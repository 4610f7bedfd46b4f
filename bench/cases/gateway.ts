/** Measures a request at the edge: our Worker and hub against an AI gateway, a bare workerd route and a plain workerd proxy. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseServerTiming } from '#scripts/start/answer.ts'
import { startChild } from '../harness/child.ts'
import type { BenchContext } from '../harness/context.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import { bearer, embeddingCall, untilQuiet } from '../gateway/full-path.ts'
import { BARE_ROUTE, PLAIN_PROXY, startPeer } from '../gateway/peers.ts'
import { startPortkey } from '../gateway/portkey.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Comparison,
  type Contender,
  type Samples,
} from '../harness/harness.ts'
import { createHttpClient, type HttpCall, type HttpClient } from '../harness/http-client.ts'
import type { Running } from '../harness/live-stack.ts'

const IN_FLIGHT = 32
/** Requests of the full path before the first round. */
const WARM_UPS = 1000

/** A contender's request, and the process that answers it. */
interface Target {
  readonly name: string
  readonly includes: string
  readonly call: HttpCall
  readonly client: HttpClient
  readonly pid: number
  /** Requests in one repetition. */
  readonly count: number
  /** Whether work goes on after the last answer; it is then waited for and counted. */
  readonly worksOn?: boolean
}

const COMPARISONS: readonly Comparison[] = [
  { of: 'full path', to: 'Portkey gateway', metric: 'cpuMs' },
  { of: 'full path', to: 'Portkey gateway', metric: 'answeringCpuMs', peerMetric: 'cpuMs' },
  {
    of: 'full path',
    to: 'Portkey gateway',
    metric: 'latencyLessComputeMs',
    peerMetric: 'latencyMs',
  },
  { of: 'full path', to: 'proxy', metric: 'cpuMs' },
  { of: 'full path', to: 'bare route', metric: 'cpuMs' },
  { of: 'full path', to: 'proxy', metric: 'latencyLessComputeMs', peerMetric: 'latencyMs' },
  { of: 'full path', to: 'proxy', metric: 'latencyMs' },
  { of: 'Worker alone', to: 'Portkey gateway', metric: 'cpuMs' },
  { of: 'Worker alone', to: 'bare route', metric: 'cpuMs' },
  { of: 'Worker alone', to: 'proxy', metric: 'cpuMs' },
  { of: 'Worker alone', to: 'bare route', metric: 'latencyMs' },
]

export async function measureGateway(context: BenchContext): Promise<BenchResult> {
  const { dir, log, quick, stack } = context
  const running = await stack.running()
  const clients: HttpClient[] = []
  const connect = (url: string) => {
    const client = createHttpClient(url, IN_FLIGHT)
    clients.push(client)
    return client
  }
  const ours = connect(running.url)
  const answerFile = join(dir, 'answer.json')
  writeFileSync(answerFile, (await ours.send(embeddingCall(running))).body)
  const upstream = await startChild(new URL('../gateway/upstream.ts', import.meta.url), [
    answerFile,
  ])
  const peer = { dir, log, upstream: upstream.firstLine }
  const bare = await startPeer({ ...peer, name: 'bare', source: BARE_ROUTE })
  const proxy = await startPeer({ ...peer, name: 'proxy', source: PLAIN_PROXY })
  const portkey = await startPortkey(upstream.firstLine)
  try {
    const targets = targetsOf(running, {
      bare: { client: connect(bare.url), pid: bare.pid },
      proxy: { client: connect(proxy.url), pid: proxy.pid },
      portkey: { client: connect(portkey.url), pid: portkey.pid, headers: portkey.headers },
      ours: { client: ours, pid: running.workerdPid },
    })
    // A warm-up round has 1,000 requests for Portkey and 100 for the full path, too few for V8 to compile it.
    const warmUps = quick ? WARM_UPS / 5 : WARM_UPS
    await drive({ count: warmUps, inFlight: IN_FLIGHT }, () => ours.send(embeddingCall(running)))
    const section = (name: string, inFlight: number) =>
      measureSection({
        name,
        contenders: targets.map((target) => contenderOf(target, { inFlight, quick })),
        comparisons: COMPARISONS,
        rounds: quick ? 2 : 5,
      })
    return {
      name: 'gateway',
      title:
        'CPU and latency of one request at the edge, each Worker in a plain workerd process, Portkey in Node',
      sections: [
        await section('one request at a time', 1),
        await section(`${IN_FLIGHT} requests at once`, IN_FLIGHT),
      ],
      includes: Object.fromEntries(targets.map(({ name, includes }) => [name, includes])),
      notes: NOTES,
    }
  } finally {
    for (const client of clients) client.close()
    await Promise.all([bare.close(), proxy.close(), portkey.close(), upstream.close()])
  }
}

const NOTES = [
  'CPU is user and system time of that process divided by the requests of a repetition; client, upstream and node are other processes.',
  'With 32 at once the latency of the full path is that of one node with two slots, on the same cores as everything else.',
]

interface Side {
  readonly client: HttpClient
  readonly pid: number
}

interface Sides {
  readonly bare: Side
  readonly proxy: Side
  readonly portkey: Side & Pick<HttpCall, 'headers'>
  readonly ours: Side
}

function targetsOf(running: Running, sides: Sides): Target[] {
  const embedding = embeddingCall(running)
  return [
    {
      name: 'bare route',
      includes: 'a one-line Worker that answers a fixed JSON to a GET',
      call: { method: 'GET', path: '/' },
      count: 2000,
      ...sides.bare,
    },
    {
      name: 'proxy',
      includes:
        'a Worker that sends the POST on to a loopback server and streams its answer back; same bytes both ways as the full path',
      call: embedding,
      count: 2000,
      ...sides.proxy,
    },
    portkeyTarget(embedding, sides.portkey),
    {
      name: 'Worker alone',
      includes:
        'GET /v1/policies: key, scope, routing, headers, JSON; one call to the Tenant and none to a hub',
      call: { method: 'GET', path: '/v1/policies', headers: { authorization: bearer(running) } },
      count: 1000,
      ...sides.ours,
    },
    {
      name: 'full path',
      includes:
        'POST /v1/embeddings to a local node: Worker, hub, held stream, signed ticket, checked and stored receipt; ' +
        '`CPU` until the receipts are in the ledger and on the chain, `answering CPU` until the last answer',
      call: embedding,
      count: 100,
      worksOn: true,
      ...sides.ours,
    },
  ]
}

function portkeyTarget(embedding: HttpCall, { headers, ...side }: Sides['portkey']): Target {
  return {
    name: 'Portkey gateway',
    includes:
      '@portkey-ai/gateway in Node: the same POST to the same loopback server; no key, policy, node or receipt',
    call: { ...embedding, headers: { ...embedding.headers, ...headers } },
    count: 1000,
    ...side,
  }
}

function contenderOf(
  target: Target,
  { inFlight, quick }: { readonly inFlight: number; readonly quick: boolean },
): Contender {
  const { name, call, client, pid, worksOn = false } = target
  const count = Math.ceil(target.count / (quick ? 5 : 1))
  return {
    name,
    async run(): Promise<Samples> {
      const before = cpuMsOf([pid])
      const replies = await drive({ count, inFlight }, async () => {
        const { headers } = await client.send(call)
        return parseServerTiming(String(headers['server-timing'] ?? '')).compute
      })
      const answered = cpuMsOf([pid])
      if (worksOn) await untilQuiet([pid])
      const after = cpuMsOf([pid])
      const each = (ms: number | undefined) =>
        ms === undefined || before === undefined ? [] : [(ms - before) / count]
      return {
        cpuMs: each(after),
        ...(worksOn ? { answeringCpuMs: each(answered) } : {}),
        latencyMs: replies.map(({ ms }) => ms),
        ...(worksOn
          ? { latencyLessComputeMs: replies.map(({ ms, value = 0 }) => ms - value) }
          : {}),
      }
    },
  }
}
