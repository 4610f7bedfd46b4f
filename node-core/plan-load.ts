/** Decides which models to unload so that another fits. Pure. */
import { AppError } from '#shared/base/errors.ts'
import { modelBytes, type ModelManifest } from '#shared/job/model.ts'

export interface ShelfModel {
  readonly id: string
  readonly sizeBytes: number
  readonly usedAtMs: number
  readonly isKept: boolean
}

/**
 * @returns ids to unload, the least recently used first, and no more than needed
 * @throws {AppError} no_capacity when the model is too large for the memory, or for what the kept ones leave
 */
export function planLoad(
  wanted: Pick<ModelManifest, 'id' | 'files'>,
  loaded: readonly ShelfModel[],
  memoryBytes: number,
): string[] {
  const wantedBytes = modelBytes(wanted)
  let freeBytes = memoryBytes - loaded.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const unload: string[] = []
  const idle = loaded.filter(({ isKept }) => !isKept).toSorted((a, b) => a.usedAtMs - b.usedAtMs)
  for (const { id, sizeBytes } of idle) {
    if (freeBytes >= wantedBytes) break
    unload.push(id)
    freeBytes += sizeBytes
  }
  if (freeBytes >= wantedBytes) return unload
  const beside = wantedBytes <= memoryBytes ? ' beside the models in use' : ''
  throw new AppError(
    'no_capacity',
    `${wanted.id} (${wantedBytes} bytes) does not fit into the ${memoryBytes} bytes of this node's memory for models${beside}.`,
    { meta: { retryAfterSeconds: 5 } },
  )
}
