/** Measures a job's way from hub to node and back, against NATS and an echo of the same bytes over a raw WebSocket. */
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { NodeEndReady, LINKS, type NodeEndOptions } from '../dispatch/echo.ts'
import { createHubEnd, HUB, PLACE, type HubEnd, type Opened } from '../dispatch/hub-end.ts'
import { NATS_MISSING, NATS_SUBJECT, startNats } from '../dispatch/nats.ts'
import { Canceller } from '#p2p/stream/cancellation.ts'
import type { JobOffer } from '#p2p/stream/messages.ts'
import { newJobId, randomBytes, type NodeId } from '#shared/base/ids.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { startFloor } from '../gateway/floor.ts'
import { startChild } from '../harness/child.ts'
import { createHttpClient, type HttpClient } from '../harness/http-client.ts'
import type { BenchContext } from '../harness/context.ts'
import { contenderOf, LEAST_CPU_MS } from '../dispatch/repetition.ts'
import {
  drive,
  measureSection,
  type BenchResult,
  type Comparison,
  type Section,
} from '../harness/harness.ts'
import { asPolicy } from '#test/support/hub/as-policy.ts'
import { kernelRequest } from '#test/support/hub/hub.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { TICKET_TTL_MS } from '#worker/hub/attempts/ticket.ts'

const RAW = 'raw ws echo'
const STREAM = 'held stream echo'
const UNSIGNED = 'job, unsigned'
const DISPATCHED = 'dispatched job'

const NATS = 'NATS request'
const FLOOR = 'workerd floor'

/** Payload sizes. */
const SIZES = [1024, 64 * 1024] as const
/** Trips of each kind before the first round, so that V8 has compiled what they run. */
const WARM_UPS = 1000
const TIMEOUT_MS = 30_000
const IN_FLIGHT = 32

const COMPARISONS: readonly Comparison[] = [
  { of: DISPATCHED, to: NATS, metric: 'latencyMs' },
  { of: DISPATCHED, to: NATS, metric: 'cpuMs' },
  { of: DISPATCHED, to: FLOOR, metric: 'latencyMs' },
  { of: DISPATCHED, to: FLOOR, metric: 'cpuMs' },
  { of: STREAM, to: NATS, metric: 'latencyMs' },
  { of: STREAM, to: NATS, metric: 'cpuMs' },
  ...[DISPATCHED, UNSIGNED, STREAM].map((of) => ({ of, to: RAW, metric: 'latencyMs' })),
  { of: DISPATCHED, to: UNSIGNED, metric: 'latencyMs' },
  { of: DISPATCHED, to: RAW, metric: 'cpuMs' },
  { of: DISPATCHED, to: UNSIGNED, metric: 'cpuMs' },
]

export async function measureDispatch({ dir, log, quick }: BenchContext): Promise<BenchResult> {
  const hub = await createHubEnd()
  const server = await startNats()
  const natsUrl = server?.url ?? null
  const options: NodeEndOptions = { hub: hub.address, socketUrl: hub.socketUrl, dir, natsUrl }
  const script = new URL('../dispatch/node-end.ts', import.meta.url)
  const child = await startChild(script, [JSON.stringify(options)])
  const nats = server === undefined ? undefined : await connect({ servers: server.url })
  const floor = await startFloor({ dir, log, messageBytes: 0 })
  const client = createHttpClient(floor.url, IN_FLIGHT)
  try {
    const opened = await hub.open(NodeEndReady.parse(JSON.parse(child.firstLine)))
    const pids = [process.pid, child.pid]
    const others: Readonly<Record<string, readonly number[]>> = {
      [NATS]: server === undefined ? pids : [...pids, server.pid],
      [FLOOR]: [floor.pid, floor.nodePid],
    }
    const sections: Section[] = []
    let includes = {}
    for (const sizeBytes of SIZES) {
      const trips = await createTrips(hub, { opened, nats, floor: client, sizeBytes })
      includes = Object.fromEntries(trips.map((trip) => [trip.name, trip.includes]))
      const known = new Set(trips.map(({ name }) => name))
      const contenders = (inFlight: number) =>
        trips.map(({ name, once }) =>
          contenderOf(name, { inFlight, once, pids: others[name] ?? pids }),
        )
      for (const { once } of trips)
        await drive({ count: WARM_UPS, inFlight: IN_FLIGHT }, (_index, lane) => once(lane))
      for (const inFlight of [1, IN_FLIGHT]) {
        const name = `${sizeBytes / 1024} KiB, ${inFlight} in flight`
        const comparisons = COMPARISONS.filter(({ of, to }) => known.has(of) && known.has(to))
        const rounds = quick ? 2 : 5
        sections.push(
          await measureSection({ name, contenders: contenders(inFlight), comparisons, rounds }),
        )
      }
    }
    return {
      name: 'dispatch',
      title: 'round trip of the same bytes from hub to node and back, two processes on loopback',
      sections,
      includes,
      notes: [
        `Everything but NATS runs over ${LINKS} sockets or nodes: a node takes at most ${LIMITS.nodeJobsInFlight} jobs at once. CPU is of both processes, a trip; of NATS with its server, of the floor with its own two, without the client.`,
        `A repetition lasts until its processes have used ${LEAST_CPU_MS} ms of CPU.`,
        ...(server === undefined ? [NATS_MISSING] : []),
      ],
    }
  } finally {
    client.close()
    await nats?.close()
    await floor.close()
    await child.close()
    await server?.close()
    await hub.close()
  }
}

interface Trip {
  readonly name: string
  readonly includes: string
  readonly once: (lane: number) => Promise<unknown>
}

interface TripParts {
  readonly opened: Opened
  readonly nats: NatsConnection | undefined
  readonly floor: HttpClient
  readonly sizeBytes: number
}

async function createTrips(
  { dispatcher }: HubEnd,
  { opened, nats, floor, sizeBytes }: TripParts,
): Promise<Trip[]> {
  const payload = randomBytes(sizeBytes)
  const request = await createRequest(sizeBytes)
  const offer = createOffer(request, opened.unsignedNode)
  const cancellation = new Canceller()
  return [
    ...(nats === undefined ? [] : [natsTrip(nats, payload)]),
    floorTrip(floor, payload),
    {
      name: RAW,
      includes: 'the npm package ws on both sides, no encryption',
      once: (lane) => opened.echoSocket(payload, lane % LINKS),
    },
    {
      name: STREAM,
      includes: 'one frame each way over the libp2p stream: noise, yamux, our framing',
      once: (lane) => opened.echoStream(payload, lane % LINKS),
    },
    {
      name: UNSIGNED,
      includes:
        'the work protocol: offer, data, result, each checked by its schema; nothing signed',
      once: (lane) =>
        opened.unsigned[lane % LINKS]?.run(offer, payload, { cancellation, onChunk: () => {} }) ??
        Promise.reject(new Error('no such link')),
    },
    {
      name: DISPATCHED,
      includes:
        'all that hub and node do around a job: choice by policy, ticket, policy check, receipt signed, written to disk, checked, signed by the hub, stored; the engine echoes',
      // Each HTTP request brings a signal of its own.
      once: () => {
        const { signal: ownSignal } = new AbortController()
        return dispatcher.dispatch({ ...request, jobId: newJobId() }, payload, ownSignal)
      },
    },
  ]
}

function natsTrip(nats: NatsConnection, payload: Uint8Array): Trip {
  return {
    name: NATS,
    includes: 'request and reply through nats-server: plain TCP, nothing signed, checked or kept',
    once: async () => {
      const { data } = await nats.request(NATS_SUBJECT, payload, { timeout: TIMEOUT_MS })
      if (data.length !== payload.length) throw new Error(`${data.length} bytes came back`)
    },
  }
}

function floorTrip(floor: HttpClient, payload: Uint8Array): Trip {
  const call = { method: 'POST', path: '/', body: payload } as const
  return {
    name: FLOOR,
    includes:
      'an empty Worker, one call to a Durable Object, one WebSocket message to a Node program and one back, asked by HTTP',
    once: () => floor.send(call),
  }
}

function createRequest(sizeBytes: number): Promise<DispatchRequest> {
  const policy = compilePolicy(asPolicy({ id: 'bench-eu', compute: { allow: ['EU'] } }), {
    tenant: TENANT,
    version: 1,
  })
  const change = { units: 1, priceMicroUsd: 1, timeoutMs: LIMITS.jobTimeoutMs }
  return kernelRequest(policy, new Uint8Array(sizeBytes), change)
}

/** An offer as the dispatcher makes it. */
function createOffer(
  { jobId, tenant, policy, allowed, work, units, priceMicroUsd }: DispatchRequest,
  nodeId: NodeId,
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
    expiresAtMs: nowMs + TICKET_TTL_MS,
  }
  return { ticket, policy, work, salt: work.digest, traceparent: null }
}
