/** What runs work on a device: the one interface of both kinds of work, in a tab and in Node. */
import type { Adapter, Answer, Work } from '#shared/job/job.ts'
import type { AdmittedModel } from '#shared/node/node.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { ModelManifest } from '#shared/job/model.ts'

export interface RunOptions {
  /** Stops the job; `run` then rejects with `cancelled` and its buffers are released. */
  readonly signal: AbortSignal
  /** Takes the answer's bytes in output order; awaited, so that a slow reader slows the job and not the memory. */
  readonly emit: (bytes: Uint8Array) => Promise<void>
}

export interface Engine {
  readonly adapter: Adapter
  /** Models whose golden run agreed with their manifest on this device, as they are loaded now. */
  readonly models: readonly AdmittedModel[]
  /** `any` runs submitted WGSL within limits; a list runs only kernels with these digests. */
  readonly kernels: 'any' | readonly Bytes32[]
  /** What they may `enable` and `require`, by its name in WGSL. @default nothing */
  readonly features?: readonly string[]
  /**
   * Runs one job and resolves with the headers of what was emitted.
   * @throws {AppError} invalid_request for work that cannot be run as given (shape, type, WGSL that does not compile),
   * model_not_found, too_large, node_timeout (a kernel over its time), node_lost (the device or its process died), cancelled
   */
  run(work: Work, payload: Uint8Array, options: RunOptions): Promise<Answer>
  close(): Promise<void>
}

/** An engine whose models come and go while it runs. */
export interface LiveEngine extends Engine {
  /** Whether this device has what the model requires, on any provider; it may still get it wrong. */
  runs(manifest: ModelManifest): boolean
  /**
   * Loads a model beside the others, or answers at once for one that is loaded.
   * @throws {AppError} file_corrupt, no_capacity when it does not run here, cancelled
   */
  load(manifest: ModelManifest, signal: AbortSignal): Promise<AdmittedModel>
  /** Takes a model out: new jobs for it are model_not_found, its memory is free once the running one has ended. */
  unload(id: string): Promise<void>
}
