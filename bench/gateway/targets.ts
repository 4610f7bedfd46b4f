/** What the gateway bench asks, of whom, and how a repetition is measured. */
import { parseServerTiming } from '#scripts/start/answer.ts'
import { cpuMsOf } from '../harness/cpu-time.ts'
import { drive, drivePaced, type Contender, type Samples, type Timed } from '../harness/harness.ts'
import type { HttpCall, HttpClient } from '../harness/http-client.ts'
import type { Running } from '../harness/live-stack.ts'
import { bearer, embeddingCall, untilQuiet } from './full-path.ts'

export const FULL_PATH = 'full path'
export const PORTKEY = 'Portkey gateway'
export const FLOOR = 'floor'

/** A contender's request, and the process that answers it. */
export interface Target extends Side {
  readonly name: string
  readonly includes: string
  readonly call: HttpCall
  /** Requests in one repetition, one at a time; several at once take three times as many. */
  readonly count: number
  /** Whether work goes on after the last answer; it is then waited for and counted. */
  readonly worksOn?: boolean
}

interface Side {
  readonly client: HttpClient
  readonly pid: number
  /** The program behind it that answers, without its engine's process. */
  readonly nodePid?: number
}

export interface Sides {
  readonly bare: Side
  readonly proxy: Side
  readonly floor: Side
  readonly portkey: Side & Pick<HttpCall, 'headers'>
  readonly ours: Side
}

export function targetsOf(running: Running, sides: Sides): Target[] {
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
    {
      name: FLOOR,
      includes:
        'an empty Worker, one call to a Durable Object, one WebSocket message to a Node program and one back; same request and answer, messages of the same size as the full path; nothing encrypted, chosen, checked, signed or stored',
      call: embedding,
      count: 1000,
      ...sides.floor,
    },
    portkeyTarget(embedding, sides.portkey),
    {
      name: 'Worker alone',
      includes:
        'GET /v1/policies: key, scope, routing, headers, JSON; one call to the Tenant and none to a hub',
      call: { method: 'GET', path: '/v1/policies', headers: { authorization: bearer(running) } },
      count: 1000,
      client: sides.ours.client,
      pid: sides.ours.pid,
    },
    {
      name: FULL_PATH,
      includes:
        'POST /v1/embeddings to a local node: Worker, hub, held stream, node, checked receipt with both signatures, stored; ' +
        '`CPU` until the receipts are in the ledger and on the chain, `answering CPU` until the last answer, ' +
        '`node CPU` of the node program without its engine, until the last answer',
      call: embedding,
      count: 100,
      worksOn: true,
      ...sides.ours,
    },
  ]
}

function portkeyTarget(embedding: HttpCall, { headers, ...side }: Sides['portkey']): Target {
  return {
    name: PORTKEY,
    includes:
      '@portkey-ai/gateway in Node: the same POST to the same loopback server; no key, policy, node or receipt',
    call: { ...embedding, headers: { ...embedding.headers, ...headers } },
    count: 1000,
    ...side,
  }
}

interface Load {
  readonly inFlight: number
  readonly quick: boolean
}

/** Requests in turn, so many in flight. */
export function contenderOf(target: Target, { inFlight, quick }: Load): Contender {
  const many = target.count * (inFlight > 1 ? 3 : 1)
  const count = Math.ceil(many / (quick ? 5 : 1))
  return repetition(target, count, () => drive({ count, inFlight }, () => ask(target)))
}

/** Requests at a fixed rate, whatever the answers take. */
export function pacedContenderOf(
  target: Target,
  load: { readonly perSecond: number; readonly seconds: number },
): Contender {
  const { perSecond } = load
  const count = Math.ceil(perSecond * load.seconds)
  return repetition(target, count, () => drivePaced({ count, perSecond }, () => ask(target)))
}

/** @returns milliseconds of computing that the answer itself reports, if it does */
async function ask({ client, call }: Target): Promise<number | undefined> {
  const { headers } = await client.send(call)
  return parseServerTiming(String(headers['server-timing'] ?? '')).compute
}

type Replies = readonly Timed<number | undefined>[]

function repetition(target: Target, count: number, send: () => Promise<Replies>): Contender {
  const { name, pid, nodePid, worksOn = false } = target
  const nodes = nodePid === undefined ? [] : [nodePid]
  const read = () => ({ edge: cpuMsOf([pid]), node: cpuMsOf(nodes) })
  const each = (before: number | undefined, after: number | undefined) =>
    before === undefined || after === undefined ? [] : [(after - before) / count]
  return {
    name,
    async run(): Promise<Samples> {
      const before = read()
      const startedMs = performance.now()
      const replies = await send()
      const seconds = (performance.now() - startedMs) / 1000
      const answered = read()
      if (worksOn) await untilQuiet([pid])
      const after = read()
      return {
        cpuMs: each(before.edge, after.edge),
        ...(worksOn ? { answeringCpuMs: each(before.edge, answered.edge) } : {}),
        // The wait that follows is longer than the repetition, and an idle node uses some CPU too.
        ...(nodePid === undefined ? {} : { nodeCpuMs: each(before.node, answered.node) }),
        latencyMs: replies.map(({ ms }) => ms),
        ...(worksOn
          ? { latencyLessComputeMs: replies.map(({ ms, value = 0 }) => ms - value) }
          : {}),
        requestsPerSecond: [count / seconds],
      }
    },
  }
}
