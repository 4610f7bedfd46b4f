/** The interface of each library: one operation on tensors that are already on its device. */

export type Operation = 'matmul' | 'softmax' | 'reduce' | 'fft'

export interface Task {
  readonly operation: Operation
  readonly inputs: readonly {
    readonly shape: readonly number[]
    readonly data: Float32Array<ArrayBuffer>
  }[]
}

export interface PreparedTask {
  /** Runs one operation and leaves its output on the device; resolves when the device is done. */
  once(): Promise<void>
  /** The output of one operation, on the host. */
  result(): Promise<Float32Array>
  close(): void
}

export interface Contender {
  readonly name: string
  /** Undefined for an operation that the library lacks on WebGPU. */
  prepare(task: Task): Promise<PreparedTask | undefined>
}
