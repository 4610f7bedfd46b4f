/** Signed presence records and their gossipsub topics: nodes publish, only hubs subscribe. */
import { encodeBase64 } from '#shared/base/base64.ts'
import { BoundedMap } from '#shared/base/bounded-map.ts'
import { TopicValidatorResult, type Message } from '@libp2p/gossipsub'
import type { PrivateKey } from '@libp2p/interface'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { type PresenceRecord, SignedPresence } from '#shared/node/node.ts'
import { checkPresenceSize, verifyPresence } from '#shared/node/presence.ts'
import { systemClock } from '#p2p/stream/clock.ts'
import { untilAborted } from '#shared/base/deadline.ts'
import { peerIdOf } from './identity.ts'
import type { LittoralNode } from './node.ts'
import { createBudget, type Budget } from '#p2p/stream/peer-budget.ts'

/** Nodes whose last presence sequence a hub remembers. */
const PRESENCE_NODES = 10_000

/** Names the topic of a group of hubs that share their nodes, such as a region. */
export function presenceTopic(region: string): string {
  return `/littoral/presence/1.0.0/${region}`
}

/** @throws {AppError} invalid_request when the record names another node or is over LIMITS.presenceBytes */
export async function signPresence(
  record: PresenceRecord,
  privateKey: PrivateKey,
): Promise<SignedPresence> {
  if (record.nodeId !== peerIdOf(privateKey))
    throw new AppError(
      'invalid_request',
      'A presence record must be signed by the node that it names.',
    )
  const bytes = new TextEncoder().encode(JSON.stringify(record))
  checkPresenceSize(bytes.byteLength)
  return { record: encodeBase64(bytes), signature: encodeBase64(await privateKey.sign(bytes)) }
}

/** Tells whether a record is too old, or its clock too far ahead, to describe the present. */
export function isStale(record: PresenceRecord, nowMs: number): boolean {
  return Math.abs(nowMs - record.issuedAtMs) > LIMITS.presenceMaxAgeMs
}

/**
 * Publishes to the topic's hubs. Waits until one is known, e.g. just after a connection.
 * @returns how many peers it was sent to
 * @throws {AppError} no_capacity when no hub subscribes within LIMITS.openTimeoutMs, cancelled
 */
export async function publishPresence(
  node: LittoralNode,
  topic: string,
  signed: SignedPresence,
  signal?: AbortSignal,
): Promise<number> {
  await hasSubscriber(node, topic, signal)
  const { pubsub } = node.services
  const { recipients } = await pubsub.publish(
    topic,
    new TextEncoder().encode(JSON.stringify(signed)),
  )
  if (recipients.length === 0) throw noHub(topic)
  return recipients.length
}

/** Records accepted from one peer, at once and per second. A node sends one a minute, and one at each change. */
const RECORDS_AT_ONCE = 32
const RECORDS_PER_SECOND = 0.5

export interface SubscribeOptions {
  /** Wall clock in ms. @default Date.now */
  readonly now?: () => number
  /**
   * Called for each message that breaks the rules: junk, another node's record, or more than the peer's budget. Such a
   * message is dropped before its signature is checked.
   */
  readonly onBreach?: (peerId: string, why: string) => void
}

export type OnRecord = (record: PresenceRecord, signed: SignedPresence) => void

/** Hands over each record that is signed, fresh and newer than the node's last. */
export function subscribePresence(
  node: LittoralNode,
  topic: string,
  onRecord: OnRecord,
  { now = Date.now, onBreach }: SubscribeOptions = {},
): void {
  const { pubsub } = node.services
  const sequences = createSequences()
  const budgets = createBudgets()
  pubsub.topicValidators.set(topic, async (peer, message) => {
    const from = peer.toString()
    const refuse = (why: string) => {
      onBreach?.(from, why)
      return TopicValidatorResult.Reject
    }
    if (!budgets.spend(from)) return refuse('more presence records than allowed')
    const signed = readMessage(message)
    if (signed === undefined) return refuse('a message that is not a presence record')
    let record: PresenceRecord
    try {
      record = await verifyPresence(signed)
    } catch {
      return refuse('a presence record without a valid signature')
    }
    if (onBreach !== undefined && record.nodeId !== from)
      return refuse('the presence record of another node')
    // Late or repeated records are not the peer's fault.
    if (isStale(record, now()) || !sequences.advance(record)) return TopicValidatorResult.Ignore
    onRecord(record, signed)
    return TopicValidatorResult.Accept
  })
  pubsub.subscribe(topic)
}

function createBudgets() {
  const budgets = new BoundedMap<string, Budget>(PRESENCE_NODES)
  const create = () =>
    createBudget({ most: RECORDS_AT_ONCE, perSecond: RECORDS_PER_SECOND, clock: systemClock })
  return {
    spend(peer: string): boolean {
      const budget = budgets.get(peer) ?? create()
      budgets.set(peer, budget)
      return budget.spend(1)
    },
  }
}

function createSequences() {
  const highest = new BoundedMap<string, number>(PRESENCE_NODES)
  return {
    advance({ nodeId, sequence }: PresenceRecord): boolean {
      const last = highest.get(nodeId)
      if (last !== undefined && sequence <= last) return false
      highest.set(nodeId, sequence)
      return true
    },
  }
}

function readMessage(message: Message): SignedPresence | undefined {
  if (message.data.byteLength > LIMITS.presenceBytes * 2) return undefined
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(message.data)
    return SignedPresence.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}

async function hasSubscriber(
  node: LittoralNode,
  topic: string,
  signal?: AbortSignal,
): Promise<void> {
  const { pubsub } = node.services
  if (pubsub.getSubscribers(topic).length > 0) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const timeout = AbortSignal.timeout(LIMITS.openTimeoutMs)
  const onChange = () => {
    if (pubsub.getSubscribers(topic).length > 0) resolve()
  }
  pubsub.addEventListener('subscription-change', onChange)
  try {
    await untilAborted(promise, signal === undefined ? timeout : AbortSignal.any([timeout, signal]))
  } catch (cause) {
    if (signal?.aborted === true)
      throw new AppError('cancelled', 'The announcement was cancelled.', { cause })
    throw noHub(topic)
  } finally {
    pubsub.removeEventListener('subscription-change', onChange)
  }
}

function noHub(topic: string): AppError {
  return new AppError('no_capacity', `No hub subscribes to ${topic}; announce again later.`)
}
