/** One job at a hub: the request and its progress. Only this file changes that state. */
import type { Cancellation } from '#p2p/stream/cancellation.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Member } from '#worker/hub/members/directory.ts'
import type { DispatchHead, DispatchRequest } from '#worker/protocols/hub.ts'
import type { AnswerSink } from '#worker/protocols/stream-envelope.ts'
import type { AttemptEnd } from './error-for-caller.ts'

/** The end of a node's attempt. While it is open, the node may still prove right. */
export interface NodeEnd extends AttemptEnd {
  readonly member: Member
  readonly isOpen: boolean
}

type Asked = 'request' | 'payload' | 'inputDigest' | 'cancellation' | 'arrivedAtMs' | 'bar'

export class Job {
  readonly request: DispatchRequest
  readonly payload: Uint8Array
  /** sha-256 of the payload. */
  readonly inputDigest: Bytes32
  readonly cancellation: Cancellation
  readonly arrivedAtMs: number
  /** Which nodes are barred from it from the start. */
  readonly bar: 'none' | 'public'
  readonly #sink: AnswerSink | undefined
  readonly #tried = new Set<string>()
  readonly #ends: NodeEnd[] = []
  #loadMs = 0
  #isBegun = false

  /** @param sink gets the answer's bytes as they come; undefined if the answer is wanted whole */
  constructor(asked: Pick<Job, Asked>, sink: AnswerSink | undefined) {
    this.request = asked.request
    this.payload = asked.payload
    this.inputDigest = asked.inputDigest
    this.cancellation = asked.cancellation
    this.arrivedAtMs = asked.arrivedAtMs
    this.bar = asked.bar
    this.#sink = sink
  }

  /** Nodes that were given it. Each has failed it, except while an attempt on it runs. */
  get tried(): ReadonlySet<string> {
    return this.#tried
  }

  get ends(): readonly NodeEnd[] {
    return this.#ends
  }

  /** Time that it waited for a node to load its model, in ms. */
  get loadMs(): number {
    return this.#loadMs
  }

  get isWhole(): boolean {
    return this.#sink === undefined
  }

  /** True if the caller has bytes of an answer, which only the same node can continue. */
  get isBegun(): boolean {
    return this.#isBegun
  }

  leftMs(nowMs: number): number {
    return this.request.timeoutMs - (nowMs - this.arrivedAtMs)
  }

  async push(head: DispatchHead, bytes: Uint8Array): Promise<void> {
    if (!this.#isBegun) {
      this.#isBegun = true
      this.#sink?.begin(head)
    }
    await this.#sink?.push(bytes)
  }

  waitedForLoad(ms: number): void {
    this.#loadMs += ms
  }

  givenTo(nodeId: string): void {
    this.#tried.add(nodeId)
  }

  ended(end: NodeEnd): void {
    this.#ends.push(end)
  }
}
