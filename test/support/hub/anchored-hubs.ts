/**
 * Several hubs in one process, each an anchor in a city, with whole nodes at chosen distances. Hub and node code are
 * real.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { WebSocketServer } from 'ws'
import { NodeCore } from '#node-core/node-core.ts'
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import type { SocketLike } from '#p2p/transports/socket-connection.ts'
import type { PlaceObservation } from '#shared/place/evidence.ts'
import { NodeId } from '#shared/base/ids.ts'
import { silentLog, type Log } from '#shared/base/log.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { createHubCore, type HubCore, type HubCoreDeps } from '#worker/hub/core.ts'
import type { CompiledPolicy } from '#shared/law/policy.ts'
import type { Admission, DispatchResult } from '#worker/protocols/hub.ts'
import { createKernelRegister } from '#worker/kernels/register.ts'
import { startDelayProxy } from '#test/support/transport/delay-proxy.ts'
import { CITIES, seenIn, type City } from './evidence.ts'
import { DOMAIN, INVERT, kernelRequest } from './hub.ts'
import { createSqliteStorage } from '#test/support/sqlite-storage.ts'

export interface NodeWish {
  readonly claim: string
  /** The hub that serves it. */
  readonly hub: City
  /** One-way milliseconds to each hub. A hub that is left out is not visited. */
  readonly oneWayMs: Partial<Record<City, number>>
  readonly observation?: PlaceObservation
  /** Round trip of its TCP connection, as the edge would measure it. */
  readonly transportRttMs?: number
  /** The key that vouches for it. */
  readonly voucher?: NonNullable<Admission['voucher']>
  readonly networks?: readonly string[]
  /** Its address block for seats. @default one of its own */
  readonly block?: string
  readonly identity?: Awaited<ReturnType<typeof newIdentity>>
}

export interface AnchoredHubs {
  core(city: City): HubCore
  join(wish: NodeWish): Promise<NodeCore>
  /** Dispatches a kernel job at this hub. */
  ask(city: City, policy: CompiledPolicy, payload: Uint8Array): Promise<DispatchResult>
  /** The address at which a node of this id, with this admission, dials that hub. */
  address(
    wish: NodeWish,
    at: { readonly nodeId: string; readonly city: City; readonly purpose: Admission['purpose'] },
  ): Promise<Multiaddr>
  close(): Promise<void>
}

interface RunningHub {
  readonly city: City
  readonly core: HubCore
  readonly port: number
}

const ADMISSION_PATH = '/node/'

export interface HubsOptions {
  readonly echoEveryMs?: number
  /** For keys that vouch; they are asked ten times a second. */
  readonly openTenant?: HubCoreDeps['openTenant']
  /** The hubs' log. @default silent */
  readonly log?: Log
}

export async function startAnchoredHubs(
  cities: readonly City[],
  { echoEveryMs = 400, openTenant, log = silentLog }: HubsOptions = {},
): Promise<AnchoredHubs> {
  const hubs = new Map<City, RunningHub>()
  const closers: (() => unknown)[] = []
  for (const city of cities)
    hubs.set(city, await startHub(city, { hubs, closers, echoEveryMs, openTenant, log }))
  const hubOf = (city: City): RunningHub => {
    const hub = hubs.get(city)
    if (hub === undefined) throw new Error(`there is no hub in ${city}`)
    return hub
  }
  const addressOf: AnchoredHubs['address'] = async (wish, { nodeId, city, purpose }) => {
    const { core, port } = hubOf(city)
    const proxy = await startDelayProxy(port, wish.oneWayMs[city] ?? 0)
    closers.push(() => proxy.close())
    const admission: Admission = {
      nodeId: NodeId.parse(nodeId),
      claim: wish.claim,
      trust: wish.voucher === undefined ? 'public' : 'verified',
      networks: [...(wish.networks ?? [])],
      voucher: wish.voucher ?? null,
      reporter: nodeId,
      block: wish.block ?? nodeId,
      nonce: crypto.randomUUID(),
      expiresAtMs: Date.now() + 60_000,
      purpose,
      hubs: {},
      hub: `hub-${wish.hub}`,
      observation: wish.observation ?? seenIn(wish.claim),
      transportRttMs: purpose === 'work' ? (wish.transportRttMs ?? null) : null,
    }
    const path = `${ADMISSION_PATH.slice(1)}${encodeURIComponent(JSON.stringify(admission))}`
    const { peerId } = core.status()
    return multiaddr(
      `/ip4/127.0.0.1/tcp/${wish.oneWayMs[city] === 0 ? port : proxy.port}/ws/http-path/${encodeURIComponent(path)}/p2p/${peerId}`,
    )
  }
  return {
    core: (city) => hubOf(city).core,
    address: addressOf,
    async ask(city, policy, payload) {
      const request = await kernelRequest(policy, payload)
      return hubOf(city).core.dispatcher.dispatch(request, payload, new AbortController().signal)
    },
    async join(wish) {
      const identity = wish.identity ?? (await newIdentity())
      const address = (city: City, purpose: Admission['purpose']) =>
        addressOf(wish, { nodeId: peerIdOf(identity), city, purpose })
      const others = Object.keys(wish.oneWayMs).filter((city) => city !== wish.hub) as City[]
      const node = new NodeCore({
        kind: 'local',
        identity,
        signer: await createSigner(await generateSigningKey(true)),
        engine: INVERT,
        claim: wish.claim,
        maxJobs: 2,
        receipts: {
          put: () => Promise.resolve(),
          remove: () => Promise.resolve(),
          pending: () => Promise.resolve([]),
        },
        locate: () => address(wish.hub, 'work'),
        locateAnchors: () => Promise.all(others.map((city) => address(city, 'measure'))),
        log: silentLog,
        now: Date.now,
        onState: () => {},
      })
      await node.start()
      closers.unshift(() => node.stop())
      return node
    },
    async close() {
      for (const close of closers) await close()
    },
  }
}

interface HubParts {
  readonly hubs: ReadonlyMap<City, RunningHub>
  readonly closers: (() => unknown)[]
  readonly echoEveryMs: number
  readonly openTenant: HubCoreDeps['openTenant'] | undefined
  readonly log: Log
}

async function startHub(city: City, parts: HubParts): Promise<RunningHub> {
  const storage = createSqliteStorage()
  const name = `hub-${city}`
  const core = await createHubCore({
    name,
    storage,
    domain: DOMAIN,
    manifests: [],
    registers: {
      home: createKernelRegister({
        storage: createSqliteStorage(),
        nowMs: Date.now,
        log: silentLog,
      }),
      others: [],
    },
    receivers: {
      record: () => Promise.resolve({ later: [], consumer: null }),
      accept: () => Promise.resolve([]),
    },
    openTenant: (tenant) => {
      if (parts.openTenant === undefined) throw new Error('no tenants here')
      return parts.openTenant(tenant)
    },
    voucherEveryMs: 100,
    wake: () => {},
    now: Date.now,
    random: () => 0,
    log: parts.log,
    anchor: { ...CITIES[city], slackKm: 0, isSimulated: true },
    // Node's clock is finer than a hundredth of a millisecond.
    clockResolutionMs: 0.01,
    echoEveryMs: parts.echoEveryMs,
    jurisdiction: 'any',
    publish: () =>
      Promise.resolve({
        open: 1,
        nodes: 0,
        hasSeats: false,
        marks: [],
        marksRead: { epoch: '', at: 0 },
      }),
    async sendEcho(to, echo) {
      for (const { city: other, core: hub } of parts.hubs.values())
        if (`hub-${other}` === to) await hub.echoed(name, echo)
    },
  })
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  server.on('connection', (socket, { url = '' }) => {
    const wire = socket as unknown as SocketLike
    wire.binaryType = 'arraybuffer'
    core.gate
      .enter(wire, JSON.parse(decodeURIComponent(url.slice(ADMISSION_PATH.length))))
      .catch(() => socket.terminate())
  })
  await once(server, 'listening')
  parts.closers.push(async () => {
    await core.close()
    for (const client of server.clients) client.terminate()
    server.close()
    storage.close()
  })
  return { city, core, port: (server.address() as AddressInfo).port }
}
