/** Chooses the error to report when nodes ended a job with errors of their own. Pure. */
import { AppError, type ErrorCode } from '#shared/base/errors.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { NodeError } from '#p2p/stream/wire-error.ts'

/** Errors by which a node may blame the work. Any other error is about the node. */
const OF_THE_WORK = ['invalid_request', 'too_large', 'context_length_exceeded'] as const
/** Longest part of a node's message that is passed on. */
const WORDS_CHARS = 1_024

export interface AttemptEnd {
  /** The error that the node itself sent, if any. */
  readonly nodeError: NodeError | undefined
  /** True if the node has answered such work before. */
  readonly isMeasured: boolean
}

export function isOfTheWork(error: AppError | undefined): boolean {
  return OF_THE_WORK.some((code) => code === error?.code)
}

/**
 * If nodes that have answered such work were asked, only their errors count. The work is called invalid only if they
 * all agree.
 * @param lost the last attempt's error, for when no node's error helps the caller
 * @param manifest of the job's model
 */
export function errorForCaller(
  ends: readonly AttemptEnd[],
  lost: AppError,
  manifest?: ModelManifest,
): AppError {
  const known = ends.filter(({ isMeasured }) => isMeasured)
  const nodeErrors = (known.length > 0 ? known : ends).flatMap(({ nodeError }) => nodeError ?? [])
  const mayBlameWork = known.every(({ nodeError }) => isOfTheWork(nodeError))
  for (const code of mayBlameWork ? OF_THE_WORK : []) {
    const nodeError = nodeErrors.find((each) => each.code === code)
    if (nodeError !== undefined)
      return new AppError(code, boundOf(code, manifest) ?? marked(nodeError), {
        meta: nodeError.meta,
        cause: nodeError,
      })
  }
  const full = nodeErrors.find(({ code }) => code === 'no_capacity')
  if (full !== undefined)
    return new AppError('no_capacity', marked(full), { meta: full.meta, cause: full })
  const [nodeError] = nodeErrors
  if (nodeError !== undefined)
    return new AppError('node_lost', marked(nodeError), { cause: nodeError })
  return lost
}

/** Where the hub knows the limit itself, it does not quote the node. */
function boundOf(code: ErrorCode, manifest: ModelManifest | undefined): string | undefined {
  if (code !== 'context_length_exceeded' || manifest?.contextTokens === undefined) return undefined
  const { id, task, contextTokens } = manifest
  return task === 'chat'
    ? `The prompt is too long: ${id} takes ${contextTokens} tokens, including the answer's.`
    : `A text is too long: ${id} takes ${contextTokens} tokens for each text.`
}

function marked({ detail }: NodeError): string {
  return `The node gave the job back: ${detail.slice(0, WORDS_CHARS)}`
}
