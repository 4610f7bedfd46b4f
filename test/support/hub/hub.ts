/**
 * A hub's dispatcher over real work streams in one process: real tickets, receipts and signatures, a byte-inverting
 * engine.
 */
import { HUB_SCHEMA } from '#worker/hub/schema.ts'
import type { Engine } from '#engine/engine.ts'
import { checkOffer } from '#node-core/check-offer.ts'
import { holdOutput } from '#node-core/hold-output.ts'
import { runOffer } from '#node-core/run-offer.ts'
import type { Clock } from '#p2p/stream/clock.ts'
import { openWork } from '#p2p/work/work-client.ts'
import { serveWork } from '#p2p/work/work-server.ts'
import { signPresence } from '#p2p/peers/presence.ts'
import { verifyPresence } from '#shared/node/presence.ts'
import { peerIdOf } from '#p2p/peers/node.ts'
import {
  WORK_VERSION,
  type JobOffer,
  type JobResult,
  type LoadRequest,
  type Welcome,
} from '#p2p/stream/messages.ts'
import type { Domain } from '#shared/proof/domain.ts'
import { newJobId, randomBytes, type Bytes32 } from '#shared/base/ids.ts'
import type { KernelWork, TextWork } from '#shared/job/job.ts'
import { mostTextUnits } from '#shared/job/text.ts'
import { silentLog, type Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import { digestBytes, type Place } from '#shared/receipt/receipt.ts'
import { createSigner, generateSigningKey, type Signer } from '#shared/proof/signature.ts'
import { Directory, type Member } from '#worker/hub/members/directory.ts'
import { Dispatcher } from '#worker/hub/attempts/dispatcher.ts'
import { createKernelBans, type KernelBans } from '#worker/hub/bans/kernel-bans.ts'
import { createKernelRegister } from '#worker/kernels/register.ts'
import { Outbox } from '#worker/hub/receipts/outbox.ts'
import { createReceiptSigning } from '#worker/hub/receipts/signing.ts'
import type { DispatchRequest, DispatchResult } from '#worker/protocols/hub.ts'
import type { Patience } from '#worker/hub/attempts/silence.ts'
import { createMemoryNetwork } from './memory-network.ts'
import { placeIn, standsAt } from './place.ts'
import { presenceOf, TEST_ADAPTER } from './presence.ts'
import { TENANT } from './policies.ts'
import { signWork } from './work.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

export const DOMAIN: Domain = { chainId: 31_337, verifyingContract: `0x${'11'.repeat(20)}` }

export type RunJob = (
  offer: JobOffer,
  payload: Uint8Array,
  next: () => Promise<JobResult>,
  /** Sends bytes past the node's own checks. */
  emit: (bytes: Uint8Array) => Promise<void>,
  /** Aborts when the hub cancels the job. */
  signal: AbortSignal,
) => Promise<JobResult>

export interface TestShelf {
  loadable(): Bytes32[]
  load(request: LoadRequest, signal: AbortSignal): Promise<void>
}

export interface TestMember {
  readonly nodeId: string
  /** Payloads that reached the engine. */
  readonly ran: Uint8Array[]
  disconnect(): Promise<void>
}

export interface TestHubBench {
  readonly dispatcher: Dispatcher
  readonly bans: KernelBans
  readonly directory: Directory
  readonly outbox: Outbox
  readonly signer: Signer
  /** @param run wraps the node's own run, to make it fail, tamper or wait */
  join(options: {
    readonly country: string
    readonly maxJobs?: number
    readonly trust?: Place['trust']
    readonly seenAs?: string
    /** Under whom its reports count. @default a network of its own */
    readonly reporter?: string
    readonly networks?: readonly string[]
    readonly run?: RunJob
    /** @default one that inverts bytes */
    readonly engine?: Engine
    /** Models that it could load when the hub asks. */
    readonly shelf?: TestShelf
  }): Promise<TestMember>
  /** Dispatches a kernel job whose answer is its payload inverted. */
  ask(policy: CompiledPolicy, payload: Uint8Array, change?: Asked): Promise<DispatchResult>
  close(): Promise<void>
}

interface Asked extends Partial<DispatchRequest> {
  /** The caller's. @default it never leaves */
  readonly signal?: AbortSignal
}

/** Inverts each byte: an answer that any reader can check. */
export const INVERT: Engine = {
  adapter: TEST_ADAPTER,
  models: [],
  kernels: 'any',
  async run(work, payload, { emit }) {
    await emit(payload.map((byte) => 255 - byte))
    const outputs = [
      {
        name: 'binding:0',
        datatype: 'UINT8' as const,
        shape: [payload.length],
        sizeBytes: payload.length,
      },
    ]
    return { outputs, provider: 'cpu', adapter: TEST_ADAPTER, computeMs: 0 }
  },
  close: () => Promise.resolve(),
}

interface BenchOptions {
  readonly patience?: Patience
  /** For jobs and their silences. */
  readonly clock?: Clock
  /** The dispatcher's. */
  readonly log?: Log
  /** @default always 0 */
  readonly random?: () => number
}

export async function createHubBench(
  manifests: readonly ModelManifest[] = [],
  now: () => number = Date.now,
  { patience, clock, log = silentLog, random = () => 0 }: BenchOptions = {},
): Promise<TestHubBench> {
  const network = await createMemoryNetwork()
  const signer = await createSigner(await generateSigningKey(false))
  const storage = createSqliteStorage({ schema: HUB_SCHEMA })
  const home = createKernelRegister({
    storage: createSqliteStorage(),
    nowMs: Date.now,
    log: silentLog,
  })
  const registers = { home, others: [] }
  const bans = createKernelBans({ registers, now: Date.now, log: silentLog })
  const [directory, outbox] = [new Directory(now), new Outbox(storage, log)]
  const signing = createReceiptSigning({
    signer,
    domain: DOMAIN,
    outbox,
    // Receipts gather by the machine's clock, for milliseconds, even where a test holds the hub's time.
    onReceipts: () => {},
  })
  const dispatcher = new Dispatcher({
    hub: 'hub-test',
    domain: DOMAIN,
    directory,
    signing,
    bans,
    manifests,
    now,
    ...(patience === undefined ? {} : { patience }),
    ...(clock === undefined ? {} : { clock }),
    random,
    randomBytes,
    log,
  })
  return {
    dispatcher,
    bans,
    directory,
    outbox,
    signer,
    async join({
      country,
      maxJobs = 4,
      trust = 'public',
      seenAs = country,
      networks: memberOf = [],
      reporter,
      run = (_offer, _payload, next) => next(),
      engine = INVERT,
      shelf,
    }) {
      const connected = await network.connect()
      const { identity, libp2p } = connected
      const nodeId = peerIdOf(identity.identity)
      const ran: Uint8Array[] = []
      const networks = [...memberOf]
      const evidence = seenAs === country ? 'observed' : 'contradicted'
      const place = placeIn(country, { evidence, trust })
      let sequence = 0
      const record = () =>
        presenceOf({
          nodeId,
          receiptKey: identity.signer.publicKey,
          claim: country,
          models: [...engine.models],
          loadable: shelf?.loadable(),
          maxJobs,
          sequence: (sequence += 1),
        })
      const presence = record()
      const signedPresence = await signPresence(presence, identity.identity)
      const welcome: Welcome = {
        version: WORK_VERSION,
        hub: 'hub-test',
        hubKey: signer.publicKey,
        domain: DOMAIN,
        place,
        networks,
        quarantine: null,
      }
      const { hubEnd, nodeEnd } = await connected.openStream()
      void serveWork(
        nodeEnd,
        {
          hello: () => Promise.resolve({ version: WORK_VERSION, presence: signedPresence }),
          welcomed: () => {},
          acknowledged: () => {},
          pendingReceipts: () => Promise.resolve([]),
          async load(request, signal) {
            const error: unknown = await shelf?.load(request, signal).then(
              () => undefined,
              (fault: unknown) => fault,
            )
            return { presence: await signPresence(record(), identity.identity), error }
          },
          run: (offer, payload, { signal, emit }) =>
            run(
              offer,
              payload,
              async () => {
                await checkOffer(offer, payload, {
                  nodeId,
                  claim: country,
                  welcome,
                  nowMs: now(),
                })
                ran.push(payload)
                const output = holdOutput(emit, offer.work.kind === 'text')
                const done = await runOffer(offer, payload, {
                  engine,
                  now,
                  takenAtMs: now(),
                  signal,
                  emit: output.emit,
                })
                const signed = await signWork(offer, done.work, identity.signer, DOMAIN)
                await output.release()
                return { ...done, nodeSignature: signed.nodeSignature }
              },
              emit,
              signal,
            ),
        },
        { log: silentLog },
      ).catch(() => {})
      const link = await openWork(hubEnd, {
        welcome: () => Promise.resolve(welcome),
        onReceipt: (kept) => dispatcher.redeliver(kept),
        onPresence: async (signed) => directory.refresh(await verifyPresence(signed), signed),
        log: silentLog,
      })
      const member: Member = {
        admission: {
          nodeId,
          claim: country,
          networks,
          voucher: null,
          reporter: reporter ?? nodeId,
        },
        evidence: standsAt(place),
        link,
        presence,
        signedPresence,
        quarantine: null,
        jobsDone: 0,
        serviceMs: new Map(),
      }
      directory.add(member)
      void link.closed.then(() => directory.remove(member))
      return { nodeId, ran, disconnect: async () => libp2p.stop() }
    },
    async ask(policy, payload, { signal = new AbortController().signal, ...change } = {}) {
      return dispatcher.dispatch(await kernelRequest(policy, payload, change), payload, signal)
    },
    close: () => network.close(),
  }
}

/** A kernel job whose answer is its payload inverted. */
export async function kernelRequest(
  policy: CompiledPolicy,
  payload: Uint8Array,
  change: Partial<DispatchRequest> = {},
): Promise<DispatchRequest> {
  const wgsl = '@compute @workgroup_size(1) fn main() {}'
  const work: KernelWork = {
    kind: 'kernel',
    wgsl,
    entryPoint: 'main',
    workgroups: [1, 1, 1],
    buffers: [
      { binding: 0, access: 'read_write', sizeBytes: payload.length, filled: true, return: true },
    ],
    digest: await digestBytes(new TextEncoder().encode(wgsl)),
  }
  return {
    requestId: 'req_test',
    jobId: newJobId(),
    tenant: TENANT,
    consumer: null,
    policy,
    allowed: policy.compute,
    work,
    units: 3,
    priceMicroUsd: 7,
    timeoutMs: 10_000,
    stream: false,
    nodeId: null,
    traceparent: null,
    ...change,
  }
}

/** The model of text jobs, which an engine of {@link createTextEngine} can run. */
export const TELLER = { id: 'teller', digest: `0x${'5'.repeat(64)}` } as const

/** A streamed job for a text of {@link TELLER}. */
export function textRequest(
  policy: CompiledPolicy,
  payload: Uint8Array,
  { maxTokens, ...change }: Partial<DispatchRequest> & { readonly maxTokens: number },
): Promise<DispatchRequest> {
  const inputBytes = payload.length
  const { id: model, digest } = TELLER
  const work: TextWork = { kind: 'text', model, digest, inputBytes, maxTokens }
  const units = mostTextUnits(inputBytes, maxTokens)
  return kernelRequest(policy, payload, { work, units, stream: true, ...change })
}
