/** What a job's way from hub to node and back costs, against an echo of the same bytes over a raw WebSocket. */
import { NodeEndReady, PAYLOAD_BYTES, LINKS, type NodeEndOptions } from './dispatch/echo.ts'
import { createHubEnd, HUB, PLACE, type HubEnd, type Opened } from './dispatch/hub-end.ts'
import type { JobOffer } from '#p2p/messages.ts'
import { newJobId, randomBytes, TenantId, type NodeId } from '#shared/ids.ts'
import type { KernelWork } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'
import { compilePolicy, Policy } from '#shared/policy.ts'
import { digestBytes } from '#shared/receipt.ts'
import type { DispatchRequest } from '#worker/hub/protocol.ts'
import { startChild } from './child.ts'
import type { BenchContext } from './context.ts'
import { cpuMsOf } from './cpu-time.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Comparison,
  type Contender,
} from './harness.ts'

const RAW = 'raw ws echo'
const STREAM = 'held stream echo'
const UNSIGNED = 'job, unsigned'
const DISPATCHED = 'dispatched job'

const COMPARISONS: readonly Comparison[] = [
  ...[DISPATCHED, UNSIGNED, STREAM].map((of) => ({ of, to: RAW, metric: 'latencyMs' })),
  { of: DISPATCHED, to: UNSIGNED, metric: 'latencyMs' },
  { of: DISPATCHED, to: RAW, metric: 'cpuMs' },
  { of: DISPATCHED, to: UNSIGNED, metric: 'cpuMs' },
]

export async function measureDispatch({ dir, quick }: BenchContext): Promise<BenchResult> {
  const hub = await createHubEnd()
  const options: NodeEndOptions = { hub: hub.address, socketUrl: hub.socketUrl, dir }
  const script = new URL('dispatch/node-end.ts', import.meta.url)
  const child = await startChild(script, [JSON.stringify(options)])
  try {
    const opened = await hub.open(NodeEndReady.parse(JSON.parse(child.firstLine)))
    const trips = await createTrips(hub, opened)
    const section = (inFlight: number) =>
      measureSection({
        name: `${inFlight} in flight`,
        contenders: trips.map((trip) => contenderOf(trip, { inFlight, quick, pid: child.pid })),
        comparisons: COMPARISONS,
        rounds: quick ? 2 : 5,
      })
    return {
      name: 'dispatch',
      title: `round trip of ${PAYLOAD_BYTES} bytes from hub to node and back, two processes on loopback`,
      sections: [await section(1), await section(32)],
      includes: Object.fromEntries(trips.map(({ name, includes }) => [name, includes])),
      notes: [
        `Everything runs over ${LINKS} sockets or nodes: a node takes at most ${LIMITS.nodeJobsInFlight} jobs at once. CPU is of both processes, a trip.`,
      ],
    }
  } finally {
    await child.close()
    await hub.close()
  }
}

interface Trip {
  readonly name: string
  readonly includes: string
  readonly count: number
  readonly once: (lane: number) => Promise<unknown>
}

async function createTrips({ dispatcher, signer }: HubEnd, opened: Opened): Promise<Trip[]> {
  const payload = randomBytes(PAYLOAD_BYTES)
  const request = await createRequest()
  const offer = createOffer(request, {
    nodeId: opened.unsignedNode,
    ticketSignature: await signer.sign(request.work.digest),
  })
  const signal = new AbortController().signal
  return [
    {
      name: RAW,
      includes: 'the npm package ws on both sides, no encryption',
      count: 1000,
      once: (lane) => opened.echoSocket(payload, lane % LINKS),
    },
    {
      name: STREAM,
      includes: 'one frame each way over the libp2p stream: noise, yamux, our framing',
      count: 500,
      once: (lane) => opened.echoStream(payload, lane % LINKS),
    },
    {
      name: UNSIGNED,
      includes:
        'the work protocol: offer, data, result, each checked by its schema; nothing signed',
      count: 300,
      once: (lane) =>
        opened.unsigned[lane % LINKS]?.run(offer, payload, { signal, onChunk: () => {} }) ??
        Promise.reject(new Error('no such link')),
    },
    {
      name: DISPATCHED,
      includes:
        'all that hub and node do around a job: choice by policy, signed ticket, its check, policy check, receipt signed, written to disk, checked, countersigned, stored; the engine echoes',
      count: 150,
      // A signal of its own, as each HTTP request brings one.
      once: () => {
        const { signal: ownSignal } = new AbortController()
        return dispatcher.dispatch({ ...request, jobId: newJobId() }, payload, ownSignal)
      },
    },
  ]
}

function contenderOf(
  { name, includes, count: fullCount, once }: Trip,
  { inFlight, quick, pid }: { inFlight: number; quick: boolean; pid: number },
): Contender {
  const count = fullCount / (quick ? 5 : 1)
  const pids = [process.pid, pid]
  return {
    name,
    includes,
    async run() {
      const before = cpuMsOf(pids)
      const trips = await drive({ count, inFlight }, (_index, lane) => once(lane))
      const after = cpuMsOf(pids)
      const isKnown = before !== undefined && after !== undefined
      return {
        latencyMs: trips.map(({ ms }) => ms),
        cpuMs: isKnown ? [(after - before) / count] : [],
      }
    },
  }
}

async function createRequest(): Promise<DispatchRequest> {
  const tenant = TenantId.parse('bench')
  const policy = compilePolicy(Policy.parse({ id: 'bench-eu', compute: { allow: ['EU'] } }), {
    tenant,
    version: 1,
  })
  const wgsl = '@compute @workgroup_size(1) fn main() {}'
  const work: KernelWork = {
    kind: 'kernel',
    wgsl,
    entryPoint: 'main',
    workgroups: [1, 1, 1],
    buffers: [
      {
        binding: 0,
        access: 'read_write',
        sizeBytes: PAYLOAD_BYTES,
        filled: true,
        return: true,
      },
    ],
    digest: await digestBytes(new TextEncoder().encode(wgsl)),
  }
  return {
    requestId: 'req_bench',
    jobId: newJobId(),
    tenant,
    consumer: null,
    policy,
    allowed: policy.compute,
    work,
    units: 1,
    priceMicroUsd: 1,
    timeoutMs: LIMITS.jobTimeoutMs,
    stream: false,
    nodeId: null,
    traceparent: null,
  }
}

/** An offer as the dispatcher makes them, made once. */
function createOffer(
  { jobId, tenant, policy, allowed, work, units, priceMicroUsd }: DispatchRequest,
  {
    nodeId,
    ticketSignature,
  }: { readonly nodeId: NodeId; readonly ticketSignature: JobOffer['ticketSignature'] },
): JobOffer {
  const nowMs = Date.now()
  const ticket: JobOffer['ticket'] = {
    jobId,
    attempt: 1,
    hub: HUB,
    nodeId,
    tenant,
    policyHash: policy.hash,
    allowed,
    place: PLACE,
    workDigest: work.digest,
    inputCommitment: work.digest,
    units,
    priceMicroUsd,
    issuedAtMs: nowMs,
    expiresAtMs: nowMs + LIMITS.ticketTtlMs,
  }
  return { ticket, ticketSignature, policy, work, salt: work.digest, traceparent: null }
}
