/** The outcome of a kernel job as a hub returns it, for tests without a hub. */
import { NodeId } from '#shared/base/ids.ts'
import type { DispatchOutcome } from '#worker/protocols/hub.ts'
import { placeIn } from './place.ts'

interface Returned {
  readonly binding: number
  readonly sizeBytes: number
}

export function kernelOutcome(
  returned: readonly Returned[],
  change: Partial<DispatchOutcome> = {},
): DispatchOutcome {
  return {
    receiptId: `0x${'7'.repeat(64)}`,
    nodeId: NodeId.parse('12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij'),
    place: placeIn('DE'),
    answer: {
      outputs: returned.map(({ binding, sizeBytes }) => ({
        name: `binding:${binding}`,
        datatype: 'UINT8',
        shape: [sizeBytes],
        sizeBytes,
      })),
      provider: 'webgpu',
      adapter: { name: 'x', isSoftware: true },
      computeMs: 1,
    },
    units: 1,
    amountMicroUsd: '1',
    timing: { queueMs: 0, networkMs: 0, computeMs: 1 },
    attempts: 1,
    ...change,
  }
}
