/** Finds the model that a request names. */
import { AppError } from '#shared/base/errors.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import type { ModelManifest } from '#shared/job/model.ts'

/** @throws {AppError} model_not_found */
export function findManifest(id: string): ModelManifest {
  const manifest = MANIFESTS.find((candidate) => candidate.id === id)
  if (manifest !== undefined) return manifest
  const known = MANIFESTS.map((candidate) => candidate.id).join(', ')
  throw new AppError('model_not_found', `There is no model "${id}". There are: ${known}.`, {
    meta: { errors: [{ pointer: '/model', detail: 'no such model' }] },
  })
}
