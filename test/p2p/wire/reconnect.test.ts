/** Nodes outlive their hub: real WebSockets, a hub process that is killed, and all nodes return. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { multiaddr } from '@multiformats/multiaddr'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  joinHub,
  reconnectDelayMs,
  type HubMembership,
  type JoinState,
  RECONNECT_MIN_MS,
  RECONNECT_MAX_MS,
} from '#p2p/peers/join.ts'
import {
  createPeerNode,
  identityToBytes,
  newIdentity,
  peerIdOf,
  type LittoralNode,
} from '#p2p/peers/node.ts'
import { presenceTopic, publishPresence } from '#p2p/peers/presence.ts'
import { repositoryPath } from '#scripts/base/paths.ts'
import { AppError } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'
import { silentLog } from '#shared/base/log.ts'
import { until } from '#test/support/poll.ts'
import { createTestHandler, createTestNode } from '#test/support/hub/work.ts'
import { REJOIN_MAX_SECONDS } from '#p2p/stream/wire-error.ts'

const NODES = 50

const Line = z.object({
  saw: z.enum(['ready', 'answer', 'presence', 'failure']),
  nodeId: z.string(),
})

interface HubProcess {
  readonly child: ChildProcess
  /** Nodes that the hub has seen like this. */
  count(saw: z.infer<typeof Line>['saw']): number
}

async function startHub(port: number, identity: string): Promise<HubProcess> {
  const child = spawn(
    process.execPath,
    [repositoryPath('test/support/hub/hub-process.ts'), String(port), identity],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const seen = new Map<string, Set<string>>()
  createInterface({ input: child.stdout }).on('line', (text) => {
    const { saw, nodeId } = Line.parse(JSON.parse(text))
    seen.set(saw, (seen.get(saw) ?? new Set()).add(nodeId))
  })
  const count = (saw: string) => seen.get(saw)?.size ?? 0
  await until('the hub to listen', () => count('ready') === 1)
  return { child, count }
}

async function killHub({ child }: HubProcess): Promise<void> {
  if (child.signalCode !== null) return
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

interface Member {
  readonly node: LittoralNode
  readonly membership: HubMembership
  readonly publish: (sequence: number) => Promise<number>
  state: JoinState
  locates: number
}

async function createMember(port: number, hubId: string): Promise<Member> {
  const self = await createTestNode()
  const node = await createPeerNode({ privateKey: self.identity, log: silentLog })
  const member = {
    node,
    state: 'connecting' as JoinState,
    locates: 0,
    publish: async (sequence: number) =>
      publishPresence(node, presenceTopic('EU'), await self.presence(sequence)),
  }
  const membership = joinHub({
    node,
    locate: () => {
      member.locates += 1
      const path = encodeURIComponent(`hubs/test?admission=${member.locates}`)
      return Promise.resolve(
        multiaddr(`/ip4/127.0.0.1/tcp/${port}/ws/http-path/${path}/p2p/${hubId}`),
      )
    },
    handler: createTestHandler(self),
    log: silentLog,
    onState: (state) => {
      member.state = state
    },
  })
  return Object.assign(member, { membership })
}

describe('reconnect', () => {
  const members: Member[] = []
  const hubs: HubProcess[] = []
  afterAll(async () => {
    await Promise.all(
      members.map(async ({ membership, node }) => {
        await membership.close()
        await node.stop()
      }),
    )
    await Promise.all(hubs.map(killHub))
  })

  test(`[J1] ${NODES} of ${NODES} nodes return and work after their hub was killed`, async () => {
    const port = await freePort()
    const key = await newIdentity()
    const identity = Buffer.from(identityToBytes(key)).toString('base64')
    const first = await startHub(port, identity)
    hubs.push(first)
    const hubId = peerIdOf(key)
    for (let at = 0; at < NODES; at += 1) members.push(await createMember(port, hubId))
    await until('all to have worked', () => first.count('answer') === NODES)
    await Promise.all(members.map(({ publish }) => publish(1)))
    await until('all to be heard', () => first.count('presence') === NODES)

    await killHub(first)
    await until('all to have noticed', () => members.every(({ state }) => state !== 'online'))
    const second = await startHub(port, identity)
    hubs.push(second)
    await until('all to work again', () => second.count('answer') === NODES)
    await Promise.all(members.map(({ publish }) => publish(2)))
    await until('all to be heard again', () => second.count('presence') === NODES)
    expect(members.map(({ state }) => state)).toEqual(members.map(() => 'online'))
    expect(Math.min(...members.map(({ locates }) => locates))).toBeGreaterThanOrEqual(2)
    expect(second.count('failure')).toBe(0)
  })

  test('[J2] a node that was told when it may return asks again only after that', async () => {
    const self = await createTestNode()
    const node = await createPeerNode({ privateKey: self.identity, log: silentLog })
    let asked = 0
    let waiting: { readonly delayMs: number; readonly fire: () => void } | undefined
    const membership = joinHub({
      node,
      locate() {
        asked += 1
        const meta = { retryAfterSeconds: asked === 1 ? 598 : 10 ** 9 }
        return Promise.reject(new AppError('no_capacity', 'Not now.', { meta }))
      },
      handler: createTestHandler(self),
      log: silentLog,
      random: () => 0,
      clock: {
        nowMs: () => 0,
        after(delayMs, fire) {
          // The only other wait is for the hub to open its stream.
          if (delayMs !== LIMITS.openTimeoutMs * 2) waiting = { delayMs, fire }
          return () => {}
        },
      },
    })
    const wait = async () => {
      await until('it waits', () => waiting !== undefined)
      const { delayMs = 0, fire = () => {} } = waiting ?? {}
      waiting = undefined
      return { delayMs, fire }
    }
    const first = await wait()
    expect([asked, first.delayMs]).toEqual([1, 598_000 + RECONNECT_MIN_MS])
    first.fire()
    const second = await wait()
    const longestMs = REJOIN_MAX_SECONDS * 1_000 + RECONNECT_MIN_MS
    expect([asked, second.delayMs]).toEqual([2, longestMs])
    await membership.close()
    await node.stop()
  })

  test('[J2] waits spread over a range that grows to its bound and never falls under it', () => {
    for (let failures = 0; failures < 60; failures += 1) {
      expect(reconnectDelayMs(failures, 0)).toBe(RECONNECT_MIN_MS)
      expect(reconnectDelayMs(failures, 0.999)).toBeLessThanOrEqual(RECONNECT_MAX_MS)
    }
    expect(reconnectDelayMs(0, 1)).toBe(4 * RECONNECT_MIN_MS)
    expect(reconnectDelayMs(40, 1)).toBe(RECONNECT_MAX_MS)
  })
})
