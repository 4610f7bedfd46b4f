/** An engine of one text model, whose events a test writes. */
import type { Engine } from '#engine/engine.ts'
import { encodeTextEvent, TEXT_OUTPUT, type TextEvent } from '#shared/job/text.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import { TEST_ADAPTER } from './presence.ts'

type Tell = (write: (event: TextEvent) => Promise<void>, signal: AbortSignal) => Promise<void>

export function createTextEngine(
  models: readonly Pick<AdmittedModel, 'id' | 'digest'>[],
  tell: Tell,
): Engine {
  return {
    adapter: TEST_ADAPTER,
    models: models.map(({ id, digest }) => ({ id, digest, provider: 'cpu', serviceMs: 1 })),
    kernels: [],
    async run(_work, _payload, { emit, signal }) {
      let sizeBytes = 0
      const write = async (event: TextEvent) => {
        const bytes = encodeTextEvent(event)
        sizeBytes += bytes.length
        await emit(bytes)
      }
      await tell(write, signal)
      const outputs = [
        { name: TEXT_OUTPUT, datatype: 'UINT8' as const, shape: [sizeBytes], sizeBytes },
      ]
      return { outputs, provider: 'cpu', adapter: TEST_ADAPTER, computeMs: 1 }
    },
    close: () => Promise.resolve(),
  }
}
