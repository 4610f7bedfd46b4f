/** Messages between the test and the page's worker. */
import type { ModelFile } from '#shared/job/model.ts'

export interface FilesAsk {
  readonly file: ModelFile
  readonly limitBytes: number
}

export interface FilesReply {
  /** Hash of the bytes that were loaded, or the error's code. */
  readonly outcome: string
  /** Names in the folder afterwards, with their sizes. */
  readonly kept: readonly (readonly [name: string, sizeBytes: number])[]
}

declare global {
  var loadFile: ((ask: FilesAsk) => Promise<FilesReply>) | undefined
}
