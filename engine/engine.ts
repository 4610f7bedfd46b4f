/** The interface of everything that runs jobs on a device, in a tab and in Node. */
import type { Adapter, Answer, Work } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface RunOptions {
  /** Stops the job: `run` rejects with `cancelled` and releases its buffers. */
  readonly signal: AbortSignal
  /** Takes the answer's bytes in output order. It is awaited, so that a slow reader slows the job and fills no memory. */
  readonly emit: (bytes: Uint8Array) => Promise<void>
}

/** A job's result before its bytes are emitted. */
export interface Computed {
  readonly answer: Answer
  readonly outputs: readonly Uint8Array[]
}

export interface Engine {
  readonly adapter: Adapter
  /** Loaded models whose golden run agreed with their manifest on this device. */
  readonly models: readonly AdmittedModel[]
  /** `any` runs submitted WGSL within limits; a list runs only kernels with these digests. */
  readonly kernels: 'any' | readonly Bytes32[]
  /** WGSL features that kernels may `enable` or `require`. @default none */
  readonly features?: readonly string[]
  /**
   * Runs one job and resolves with the headers of what was emitted.
   * @throws {AppError} invalid_request for work that cannot be run as given (shape, type, WGSL that does not
   * compile), model_not_found, too_large, node_timeout (a kernel over its time), node_lost (the device or its process
   * died), cancelled
   */
  run(work: Work, payload: Uint8Array, options: RunOptions): Promise<Answer>
  close(): Promise<void>
}

export interface LiveEngine extends Engine {
  /** Tells whether some provider here meets the model's requirements. Its golden run may still fail. */
  runs(manifest: ModelManifest): boolean
  /**
   * Loads a model, or returns at once when it is loaded already.
   * @throws {AppError} file_corrupt, no_capacity when it does not run here, cancelled
   */
  load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel>
  /** Removes a model. New jobs for it fail with model_not_found; its memory is freed after the running job. */
  unload(id: string): Promise<void>
}
