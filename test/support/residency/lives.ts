/** Simulates requests over random policies, nodes and faults, and reports those that reached a node their policy excludes. */
import { signWork } from '#test/support/hub/work.ts'
import { runOffer } from '#node-core/run-offer.ts'
import { untilCancelled, type Cancellation } from '#p2p/stream/cancellation.ts'
import { NodeError } from '#p2p/stream/wire-error.ts'
import type { JobOffer, JobResult } from '#p2p/stream/messages.ts'
import type { RunJobOptions } from '#p2p/work/job-call.ts'
import { checkContent } from '#shared/receipt/check-receipt.ts'
import { compilePolicy, effectiveCompute } from '#shared/law/compile-policy.ts'
import { AppError, toAppError, type ErrorCode } from '#shared/base/errors.ts'
import { JobId, type Bytes32, type NodeId } from '#shared/base/ids.ts'
import type { Policy } from '#shared/law/policy.ts'
import { countrySet } from '#shared/law/region.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import type { Config } from '#worker/platform/config.ts'
import { dispatch, dispatchStream } from '#worker/dispatch/dispatch.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type { DispatchRequest } from '#worker/protocols/hub.ts'
import { TENANT } from '#test/support/hub/policies.ts'
import { createRandom, type Random } from '../random.ts'
import { namespaceOf, plainConfig } from '../worker-config.ts'
import { drawNarrowing, drawNode, drawPolicy, oneOf, type DrawnNode } from './draw.ts'
import { DOMAIN, createSimulatedHub, hubNamespace, joinHub } from './network.ts'
import type { SimulatedHub, Joined } from './network.ts'
import { drawKernel, ECHO, hex, MODEL, nodeIdOf } from './jobs.ts'
import { judge, spellCompute } from './oracle.ts'

/** Requests of one world that run at the same time. */
const TOGETHER = 3
/** Requests of one world; the next world draws nodes, hubs and policies anew. */
export const LIVES_OF_A_WORLD = 25

export interface LivesReport {
  readonly lives: number
  /** Payloads that reached a node, and requests to load a model. */
  readonly deliveries: number
  readonly loads: number
  /** Lives in a network with both allowed and excluded nodes. */
  readonly mixed: number
  /** Deliveries of a job after an earlier one had failed. */
  readonly retries: number
  /** Changes of the network while requests ran. */
  readonly events: number
  readonly ends: Readonly<Partial<Record<ErrorCode | 'answered', number>>>
  readonly violations: readonly string[]
}

interface Life {
  readonly policy: Policy
  readonly places: ReadonlySet<string>
  deliveries: number
}

interface World {
  readonly random: Random
  readonly hubs: readonly SimulatedHub[]
  readonly nodeIds: readonly NodeId[]
  readonly signer: Signer
  /** The facts of each connected member, and how to change them. */
  readonly nodes: Map<Member, DrawnNode>
  readonly concludeAnew: Map<Member, Joined['concludeAnew']>
  readonly lives: Map<string, Life>
  readonly count: Record<'deliveries' | 'loads' | 'mixed' | 'retries' | 'events', number>
  readonly ends: Map<string, number>
  readonly violations: string[]
  readonly seed: number
}

/** One key for the hubs and nodes of all worlds: signatures are not under test. */
export async function createLivesSigner(): Promise<Signer> {
  return createSigner(await generateSigningKey(true))
}

export async function simulateWorld(seed: number, signer: Signer): Promise<LivesReport> {
  const random = createRandom(seed)
  const hubs: SimulatedHub[] = []
  const world: World = {
    random,
    hubs,
    nodeIds: Array.from({ length: 4 + random.below(12) }, (_, n) => nodeIdOf(seed, n)),
    signer,
    nodes: new Map(),
    concludeAnew: new Map(),
    lives: new Map(),
    count: { deliveries: 0, loads: 0, mixed: 0, retries: 0, events: 0 },
    ends: new Map(),
    violations: [],
    seed,
  }
  for (let n = 0, count = 1 + random.below(3); n < count; n += 1) {
    const jurisdiction = n === 0 ? 'any' : oneOf(random, ['any', 'eu'] as const)
    const onSign = () => random.chance(0.15) && disturb(world)
    hubs.push(createSimulatedHub({ name: `hub-${n}-0`, jurisdiction, random, signer, onSign }))
  }
  for (const nodeId of world.nodeIds) join(world, nodeId)
  try {
    for (let n = 0; n < LIVES_OF_A_WORLD; n += TOGETHER) {
      const together = Math.min(TOGETHER, LIVES_OF_A_WORLD - n)
      await Promise.all(Array.from({ length: together }, () => live(world)))
      if (random.chance(0.3)) disturb(world)
      // A world without free nodes would show nothing.
      if (random.chance(0.2)) join(world, oneOf(random, world.nodeIds))
    }
  } finally {
    for (const member of world.nodes.keys()) void member.link.close()
    for (const hub of hubs) hub.close()
  }
  const { count, ends, violations } = world
  return { lives: LIVES_OF_A_WORLD, ...count, ends: Object.fromEntries(ends), violations }
}

/** Runs one request from the Worker's dispatch to its end. */
async function live(world: World): Promise<void> {
  const { random } = world
  const policy = {
    ...drawPolicy(random),
    ...(random.chance(0.5) ? GENEROUS : {}),
    storage: random.chance(0.9) ? 'any' : oneOf(random, ['eu', 'us'] as const),
  } as const
  // Sometimes a faulty Worker says that the job may run anywhere.
  const isWide = random.chance(0.1)
  const narrowTo = isWide ? undefined : drawNarrowing(random)
  const payload = random.bytes(8)
  const request = await draftRequest(world, { policy, narrowTo, isWide, payload })
  const life: Life = { policy, places: spellCompute(policy, narrowTo), deliveries: 0 }
  world.lives.set(request.jobId, life)
  const verdicts = [...world.nodes.values()].map((node) => judge(policy, life.places, node))
  if (verdicts.includes('allow') && verdicts.some((verdict) => verdict !== 'allow'))
    world.count.mixed += 1
  const leaving = new AbortController()
  if (random.chance(0.05)) queueMicrotask(() => leaving.abort())
  const target = {
    env: { HUB: hubNamespace(world.hubs), REGISTRY: namespaceOf({}) },
    config: configOf(world),
  }
  const end = await (
    request.stream
      ? readToEnd(target, { request, payload }, leaving.signal)
      : dispatch(target, { request, payload }, leaving.signal).then(
          ({ outcome }) => outcome.receiptId,
        )
  ).then(
    (receiptId) => {
      checkReceipt(world, receiptId)
      return 'answered'
    },
    (error: unknown) => toAppError(error).code,
  )
  world.ends.set(end, (world.ends.get(end) ?? 0) + 1)
}

async function readToEnd(...call: Parameters<typeof dispatchStream>): Promise<Bytes32> {
  const { chunks, outcome } = await dispatchStream(...call)
  for await (const _ of chunks);
  return (await outcome).receiptId
}

async function draftRequest(
  { random, nodeIds }: World,
  job: {
    readonly policy: Policy
    readonly narrowTo: readonly string[] | undefined
    readonly isWide: boolean
    readonly payload: Uint8Array
  },
): Promise<DispatchRequest> {
  const policy = compilePolicy(job.policy, { tenant: TENANT, version: 1 })
  const allowed = job.isWide ? EVERYWHERE : effectiveCompute(policy, job.narrowTo)
  return {
    requestId: 'req_simulated',
    jobId: JobId.parse(`job_${hex(random.bytes(16))}`),
    tenant: TENANT,
    consumer: null,
    policy,
    allowed,
    work: random.chance(0.15) ? MODEL : await drawKernel(random, job.payload.length),
    units: 1,
    priceMicroUsd: 1,
    timeoutMs: 80,
    stream: random.chance(0.2),
    nodeId: random.chance(0.15) ? oneOf(random, nodeIds) : null,
    traceparent: null,
  }
}

/** A node receives a job: checks whether the job may be there, and then runs or fails it. */
async function receive(
  world: World,
  at: { readonly member: () => Member; readonly hub: SimulatedHub },
  job: { readonly offer: JobOffer; readonly payload: Uint8Array; readonly options: RunJobOptions },
): Promise<JobResult> {
  const { random, count } = world
  const { offer, payload, options } = job
  const life = check(world, at, offer.ticket.jobId, 'a job')
  count.deliveries += 1
  if (life !== undefined) {
    if (life.deliveries > 0) count.retries += 1
    life.deliveries += 1
  }
  if (random.chance(0.1)) disturb(world)
  const fate = random.below(10)
  if (fate === 0) throw new AppError('node_lost', 'simulated')
  if (fate === 1) throw new NodeError('no_capacity', 'simulated')
  if (fate === 2) throw new NodeError('invalid_request', 'simulated')
  if (fate === 3) await at.member().link.close()
  if (fate === 4 && random.chance(0.2)) return silence(options.cancellation)
  const stop = new AbortController()
  options.cancellation.onCancel(() => stop.abort(options.cancellation.reason))
  const done = await runOffer(offer, payload, {
    engine: ECHO,
    now: Date.now,
    takenAtMs: Date.now(),
    signal: stop.signal,
    emit: async (bytes) => options.onChunk(bytes),
  })
  const { nodeSignature } = await signWork(offer, done.work, world.signer, DOMAIN)
  // An unacceptable answer puts its node into quarantine.
  const isForged = fate === 5 && random.chance(0.5)
  return { ...done, nodeSignature: isForged ? { ...nodeSignature, size: 2 } : nodeSignature }
}

/** The property under test. */
function check(
  world: World,
  { member, hub }: { readonly member: () => Member; readonly hub: SimulatedHub },
  jobId: string,
  what: string,
): Life | undefined {
  const life = world.lives.get(jobId)
  const node = world.nodes.get(member())
  const say = (why: string) =>
    void world.violations.push(
      `seed ${world.seed}: ${what} of ${jobId} reached ${hub.name}: ${why}`,
    )
  if (life === undefined || node === undefined) {
    say('nobody knows the job or the node')
    return undefined
  }
  const { policy, places } = life
  const isQuarantined = member().quarantine !== null
  const verdict = judge(policy, places, { ...node, quarantined: isQuarantined })
  if (verdict !== 'allow') say(`${verdict}: ${JSON.stringify({ policy, node, isQuarantined })}`)
  if (policy.storage !== 'any' && policy.storage !== hub.jurisdiction)
    say(`records belong in ${policy.storage}, the hub keeps them in ${hub.jurisdiction}`)
  return life
}

/** Checks that the receipt can be settled: the policy allows its place. */
function checkReceipt({ hubs, violations, seed }: World, id: Bytes32): void {
  const entries = hubs.flatMap(({ outbox }) => outbox.document(TENANT, id) ?? [])
  for (const { receipt } of entries) {
    // A Worker that allows everything never gets paid for that.
    const isWide = receipt.receipt.ticket.allowed === EVERYWHERE
    const broken = checkContent(receipt, Date.now()).filter(
      ({ ok, rule }) => !ok && !(isWide && rule === 'ticket.allowed'),
    )
    for (const { rule, detail } of broken)
      violations.push(`seed ${seed}: receipt ${id} breaks ${rule}: ${detail}`)
  }
  if (entries.length !== 1)
    violations.push(`seed ${seed}: receipt ${id} is in ${entries.length} outboxes`)
}

/** A node joins a hub, at a place unrelated to its last one. */
function join(world: World, nodeId: NodeId): void {
  const { random } = world
  const hub = oneOf(random, world.hubs)
  const node = drawNode(random)
  const at = { hub, member: (): Member => member }
  const { member, concludeAnew }: Joined = joinHub({
    hub,
    nodeId,
    node,
    signer: world.signer,
    loadable: random.chance(0.5) ? [MODEL.digest] : [],
    link: {
      run: (offer, payload, options) => receive(world, at, { offer, payload, options }),
      load() {
        world.count.loads += 1
        if (random.chance(0.3)) return Promise.reject(new AppError('no_capacity', 'simulated'))
        member.presence = {
          ...member.presence,
          models: [{ id: MODEL.model, digest: MODEL.digest, provider: 'cpu', serviceMs: 1 }],
        }
        return Promise.resolve()
      },
    },
  })
  world.nodes.set(member, node)
  world.concludeAnew.set(member, concludeAnew)
}

/** Changes the network in some way. */
function disturb(world: World): void {
  const { random, count, hubs } = world
  count.events += 1
  const hub = oneOf(random, hubs)
  const members = hub.directory.members()
  if (members.length === 0 || random.chance(0.4)) return join(world, oneOf(random, world.nodeIds))
  const member = oneOf(random, members)
  const kind = random.below(8)
  if (kind === 0) hub.directory.quarantine(member, 'simulated')
  else if (kind < 3) void member.link.close()
  else if (kind < 6) {
    // A changed claim would need another admission.
    const [was, drawn] = [world.nodes.get(member), drawNode(random)]
    if (was === undefined) return
    const { country, trust, voucher, networks } = was
    const seen = { ...drawn, country, trust, voucher, networks }
    world.nodes.set(member, seen)
    world.concludeAnew.get(member)?.(seen)
  } else {
    const { presence } = member
    const claim = random.chance(0.5) ? presence.claim : 'IN'
    const next = { ...presence, claim, sequence: presence.sequence + 1 }
    hub.directory.refresh(next, member.signedPresence)
  }
}

/** Fields that let many jobs run somewhere. */
const GENEROUS = {
  minEvidence: 'declared',
  dataClass: 'public',
  network: null,
  verification: 'none',
} as const

const EVERYWHERE = countrySet(['WORLD'])

function configOf({ hubs }: World): Config {
  return plainConfig(
    hubs.map(({ name, jurisdiction }) => ({ name: name.slice(0, -2), jurisdiction })),
    'cloudflare',
  )
}

/** Gives no answer until the hub gives up. */
function silence(cancellation: Cancellation): Promise<never> {
  return untilCancelled(new Promise<never>(() => {}), cancellation)
}
