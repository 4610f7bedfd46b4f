/** A whole node in this process that runs one kernel, for a Worker with simulated places. */
import type { Multiaddr } from '@multiformats/multiaddr'
import { NodeCore } from '#node-core/node-core.ts'
import { locateAnchors, locateHub, type LocateOptions } from '#node-core/locate.ts'
import { newIdentity, peerIdOf } from '#p2p/peers/node.ts'
import { silentLog } from '#shared/base/log.ts'
import { createSigner, generateSigningKey } from '#shared/proof/signature.ts'
import { INVERT } from '#test/support/hub/hub.ts'

/** A request to `/v1/compute` for a node of this file. */
export const KERNEL = {
  kernel: {
    wgsl: '@group(0) @binding(0) var<storage, read_write> x: array<u32>; @compute @workgroup_size(1) fn main() { x[0] = ~x[0]; }',
    entryPoint: 'main',
    workgroups: [1, 1, 1],
  },
  buffers: [{ binding: 0, access: 'read_write', data: 'AAAAAA==', return: true }],
}

export interface KernelNode {
  readonly core: NodeCore
  readonly nodeId: string
  /** Asks for admission as the node would. */
  locate(signal: AbortSignal): Promise<Multiaddr>
  /** Times that the running node has asked for a hub. */
  located(): number
}

/** @param locate finds the node's hub in place of an admission of its own */
export async function createKernelNode(
  origin: string,
  country: string,
  locate?: (ask: KernelNode['locate'], signal: AbortSignal) => Promise<Multiaddr>,
): Promise<KernelNode> {
  const identity = await newIdentity()
  const nodeId = peerIdOf(identity)
  const where: LocateOptions = { origin, nodeId, claim: country, simulatedPlace: country }
  const ask = (signal: AbortSignal) => locateHub(where, signal)
  let located = 0
  const core = new NodeCore({
    kind: 'local',
    identity,
    signer: await createSigner(await generateSigningKey(true)),
    engine: INVERT,
    claim: country,
    maxJobs: 2,
    receipts: { put: async () => {}, remove: async () => {}, pending: async () => [] },
    locate(signal) {
      located += 1
      return locate === undefined ? ask(signal) : locate(ask, signal)
    },
    locateAnchors: (signal, hub) => locateAnchors({ ...where, hub }, signal),
    log: silentLog,
    now: Date.now,
    onState: () => {},
  })
  return { core, nodeId, locate: ask, located: () => located }
}
