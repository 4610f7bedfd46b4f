/** A hub and a node that are connected by the memory transport, for tests of one work stream. */
import type { Stream } from '@libp2p/interface'
import type { JobOffer } from '#p2p/stream/messages.ts'
import { openWork, type OpenWorkOptions, type WorkLink } from '#p2p/work/work-client.ts'
import { silentLog } from '#shared/base/log.ts'
import { createMemoryNetwork, type ConnectedNode } from './memory-network.ts'
import { createTestHub, type TestHub } from './work.ts'

export interface WorkBench {
  readonly hub: TestHub
  readonly node: ConnectedNode
  /** An offer of model work to the node. */
  offer(payload: Uint8Array): Promise<JobOffer>
  /** Opens the hub's side of a work stream. */
  open(hubEnd: Stream, options?: Partial<OpenWorkOptions>): Promise<WorkLink>
  close(): Promise<void>
}

export async function createWorkBench(): Promise<WorkBench> {
  const network = await createMemoryNetwork()
  const hub = await createTestHub()
  const node = await network.connect()
  return {
    hub,
    node,
    offer: (payload) => hub.offer(node.libp2p.peerId.toString(), payload),
    open: (hubEnd, options = {}) =>
      openWork(hubEnd, {
        welcome: () => hub.welcome(),
        onReceipt: () => Promise.resolve(),
        log: silentLog,
        ...options,
      }),
    close: () => network.close(),
  }
}
