/** A node in any runtime: announces itself, takes jobs, checks and runs them, signs and keeps receipts. */
import type { Multiaddr } from '@multiformats/multiaddr'
import type { PrivateKey } from '@libp2p/interface'
import type { Engine } from '#engine/engine.ts'
import { AppError, toAppError, invariant } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { joinHub, type HubMembership } from '#p2p/peers/join.ts'
import { answerEcho } from '#p2p/work/echo.ts'
import type { Frame } from '#p2p/stream/frames.ts'
import {
  WORK_VERSION,
  type JobOffer,
  type JobResult,
  type LoadRequest,
  type Standing,
  type Welcome,
} from '#p2p/stream/messages.ts'
import { createPeerNode, peerIdOf } from '#p2p/peers/node.ts'
import { presenceTopic, publishPresence, signPresence } from '#p2p/peers/presence.ts'
import type { LoadOutcome, WorkRunOptions, WorkHandler } from '#p2p/work/work-handler.ts'
import { answerAnchors, visitAnchors } from './be-measured.ts'
import { JobRuns, type JobRunsDeps } from './job-runs.ts'
import type { ModelShelf } from './model-shelf.ts'
import { createOwnState, type NodeState, type OwnState } from './node-state.ts'
import { presenceRecord } from './presence-record.ts'

const PRESENCE_EVERY_MS = 60_000
invariant(2 * PRESENCE_EVERY_MS < LIMITS.presenceMaxAgeMs, 'One presence record may be lost.')

export interface NodeCoreDeps extends Pick<
  JobRunsDeps,
  'engine' | 'signer' | 'receipts' | 'now' | 'log'
> {
  readonly kind: PresenceRecord['kind']
  /** libp2p Ed25519 key: the node's identity. */
  readonly identity: PrivateKey
  /** Loads and unloads the engine's models; without it they never change. */
  readonly shelf?: ModelShelf | undefined
  /** Multiaddrs at which this node serves model files. */
  readonly fileAddresses?: readonly string[]
  /** Alpha-2 code of the country that the node claims. */
  readonly claim: string
  readonly maxJobs: number
  /** Asks for admission and the hub's address; called for every attempt to connect. */
  readonly locate: (signal: AbortSignal) => Promise<Multiaddr>
  /** Finds hubs that measure the node's place; without it only the node's own hub does. */
  readonly locateAnchors?: (
    signal: AbortSignal,
    hub: string | undefined,
  ) => Promise<readonly Multiaddr[]>
  readonly onState: (state: NodeState) => void
}

export class NodeCore implements WorkHandler {
  readonly #deps: NodeCoreDeps
  readonly #state: OwnState
  readonly #jobs: JobRuns
  #sequence: number
  #membership: HubMembership | undefined
  #node: Awaited<ReturnType<typeof createPeerNode>> | undefined
  #presenceTimer: ReturnType<typeof setInterval> | undefined
  #anchorTimer: ReturnType<typeof setInterval> | undefined
  #visiting: AbortController | undefined
  #isLeaving = false

  constructor(deps: NodeCoreDeps) {
    this.#deps = deps
    this.#sequence = deps.now()
    const first: NodeState = {
      phase: 'paused',
      detail: 'Not started.',
      nodeId: peerIdOf(deps.identity),
      claim: deps.claim,
      adapter: deps.engine.adapter,
      models: deps.engine.models,
      kernels: kernelsOf(deps.engine),
      running: 0,
      jobsDone: 0,
      jobsFailed: 0,
      earnedMicroUsd: '0',
      unacknowledged: 0,
      lastJobs: [],
      lastFailure: null,
      welcome: null,
      evidence: [],
    }
    this.#state = createOwnState(first, deps.onState)
    this.#jobs = new JobRuns({
      engine: deps.engine,
      shelf: deps.shelf,
      signer: deps.signer,
      receipts: deps.receipts,
      state: this.#state,
      offerChanged: () => this.offerChanged(),
      now: deps.now,
      log: deps.log,
    })
  }

  state(): NodeState {
    return this.#state.now()
  }

  /** Goes online. Resolves at once; progress comes through `onState`. */
  async start(): Promise<void> {
    if (this.#membership !== undefined) return
    this.#state.update({ phase: 'connecting', detail: 'Looking for the nearest hub.' })
    const { identity, locate, log } = this.#deps
    const node = (this.#node ??= await createPeerNode({ privateKey: identity, log }))
    this.#membership = joinHub({
      node,
      locate,
      handler: this,
      log,
      onState: (state, detail) => {
        if (state === 'online') return
        const phase = state === 'closed' ? 'paused' : state
        this.#state.update({ phase, detail: detail ?? '', welcome: null })
      },
    })
    this.#presenceTimer = setInterval(() => void this.#announce(), PRESENCE_EVERY_MS)
    await answerAnchors({ node, identity, log })
    this.#anchorTimer = setInterval(() => void this.#visitAnchors(), LIMITS.echoEveryMs)
  }

  /** Leaves the network now. The hub gives running jobs to other nodes. */
  async pause(): Promise<void> {
    this.#state.update({
      phase: 'paused',
      detail: 'Paused by its owner.',
      welcome: null,
      lastFailure: null,
    })
    clearInterval(this.#presenceTimer)
    clearInterval(this.#anchorTimer)
    this.#visiting?.abort()
    this.#jobs.giveBack(new AppError('node_lost', 'The node was paused by its owner.'))
    const [membership, node] = [this.#membership, this.#node]
    this.#membership = undefined
    this.#node = undefined
    await membership?.close()
    await node?.stop()
  }

  /** Takes no more work. Resolves when running jobs have ended or the time is over; `stop` returns the rest. */
  async leave(withinMs: number): Promise<void> {
    this.#isLeaving = true
    this.#state.update({ detail: 'Leaving after its current jobs.' })
    const finished = this.#jobs.finish(withinMs)
    await this.#announce()
    await finished
  }

  async stop(): Promise<void> {
    await this.pause()
    this.#state.update({ phase: 'stopped', detail: 'Stopped.' })
    await this.#deps.engine.close()
  }

  async hello() {
    return { version: WORK_VERSION, presence: await this.#presence() }
  }

  welcomed(welcome: Welcome): void {
    const detail = welcome.quarantine ?? `Connected to ${welcome.hub}.`
    this.#state.update({ phase: 'online', detail, welcome })
    void this.#announce()
    void this.#visitAnchors()
  }

  /** Comes before any ticket that relies on it: checks of offers use this state. */
  standing({ place, quarantine, reasons }: Standing): void {
    const { welcome, detail } = this.#state.now()
    if (welcome === null) return
    if (quarantine !== welcome.quarantine)
      this.#deps.log.warn('node.judged', { quarantine: quarantine ?? 'ended' })
    this.#state.update({
      welcome: { ...welcome, place, quarantine },
      evidence: reasons,
      detail: quarantine ?? (welcome.quarantine === null ? detail : `Connected to ${welcome.hub}.`),
    })
  }

  echo(frame: Frame, anchorPeerId: string): Promise<Frame> {
    const { identity } = this.#deps
    return answerEcho(frame, { anchorPeerId, nodeId: this.#state.now().nodeId }, identity)
  }

  async run(offer: JobOffer, payload: Uint8Array, options: WorkRunOptions): Promise<JobResult> {
    if (this.#state.now().welcome === null || this.#membership === undefined)
      throw new AppError('no_capacity', 'The node is paused.')
    return this.#jobs.run(offer, payload, options)
  }

  async load({ digest, peers }: LoadRequest, signal: AbortSignal): Promise<LoadOutcome> {
    const { shelf, log } = this.#deps
    let error: unknown
    try {
      if (shelf === undefined)
        throw new AppError('forbidden', 'This node loads no models for a hub.')
      await shelf.load(digest, { peers, signal })
    } catch (cause) {
      log.warn('model.load-refused', { digest, detail: toAppError(cause).detail })
      error = cause
    }
    this.offerChanged()
    return { presence: await this.#presence(), error }
  }

  /** Loads these models while there is room, and announces each. */
  async preload(ids: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#deps.shelf?.preload(ids, signal, () => this.offerChanged())
  }

  /** Tells the hub that the engine's models or kernels have changed. */
  offerChanged(): void {
    const { engine } = this.#deps
    const { models, adapter } = engine
    this.#state.update({ models, adapter, kernels: kernelsOf(engine) })
    void this.#announce()
  }

  acknowledged(ids: readonly `0x${string}`[]): void {
    void this.#deps.receipts
      .remove(ids)
      .then(() =>
        this.#state.update({
          unacknowledged: Math.max(0, this.#state.now().unacknowledged - ids.length),
        }),
      )
      .catch((error: unknown) =>
        this.#deps.log.error('receipts.remove-failed', { cause: String(error) }),
      )
  }

  async pendingReceipts() {
    const pending = await this.#deps.receipts.pending()
    this.#state.update({ unacknowledged: pending.length })
    return pending.map(({ receiptId, jobId, hub }) => ({ receiptId, jobId, hub }))
  }

  #presence(): Promise<SignedPresence> {
    const kernels = kernelsOf(this.#deps.engine)
    if (kernels !== this.#state.now().kernels) this.#state.update({ kernels })
    this.#sequence = Math.max(this.#sequence + 1, this.#deps.now())
    const record = presenceRecord(this.#deps, {
      sequence: this.#sequence,
      isLeaving: this.#isLeaving,
    })
    return signPresence(record, this.#deps.identity)
  }

  /** Without reachable anchors the node works the same, but its place is not bounded. */
  async #visitAnchors(): Promise<void> {
    const { locateAnchors, log } = this.#deps
    const node = this.#node
    if (locateAnchors === undefined || node === undefined) return
    this.#visiting?.abort()
    const visiting = (this.#visiting = new AbortController())
    try {
      const anchors = await locateAnchors(visiting.signal, this.#state.now().welcome?.hub)
      await visitAnchors(anchors, { node, log }, visiting.signal)
    } catch (error) {
      if (!visiting.signal.aborted) log.warn('anchors.not-visited', { cause: String(error) })
    }
  }

  async #announce(): Promise<void> {
    const [node, welcome] = [this.#node, this.#state.now().welcome]
    if (node === undefined || welcome === null) return
    try {
      await publishPresence(node, presenceTopic(welcome.hub), await this.#presence())
    } catch (error) {
      this.#deps.log.warn('presence.publish-failed', { cause: String(error) })
    }
  }
}

function kernelsOf({ kernels }: Engine): NodeState['kernels'] {
  return kernels === 'any' ? 'any' : kernels.length
}
