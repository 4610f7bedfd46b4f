/** Finds a model file in this repository or in an installed package. */
import { existsSync } from 'node:fs'
import { AppError } from '#shared/base/errors.ts'
import type { ModelFile } from '#shared/job/model.ts'
import { localPath } from './model-store.ts'

/** @throws {AppError} no_capacity when none of its sources is here */
export function modelFilePath({ sources }: Pick<ModelFile, 'sources'>): string {
  for (const source of sources) {
    const path = localPath(source)
    if (path !== undefined && existsSync(path)) return path
  }
  throw new AppError('no_capacity', `${sources[0]} is not on this machine.`)
}
