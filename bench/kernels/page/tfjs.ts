/** TensorFlow.js on its WebGPU backend, which submits each operation at once. */
import * as tf from '@tensorflow/tfjs-core'
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu'
import '@tensorflow/tfjs-backend-webgpu'
import type { Contender, Task } from './contender.ts'

export async function openTfjs(): Promise<Contender> {
  await tf.setBackend('webgpu')
  await tf.ready()
  const backend = tf.backend() as WebGPUBackend
  return {
    name: 'tfjs',
    async prepare(task) {
      const inputs = task.inputs.flatMap((input) => tensorsOf(task, input))
      const compute = (): tf.Tensor => {
        const [a, b] = inputs
        if (a === undefined) throw new Error('no input')
        if (task.operation === 'matmul') return tf.matMul(a, b ?? a)
        if (task.operation === 'softmax') return tf.softmax(a, -1)
        return task.operation === 'reduce' ? tf.sum(a, -1) : tf.fft(a)
      }
      return {
        async once() {
          const output = tf.tidy(compute)
          backend.endComputePassEncoder()
          backend.submitQueue()
          await backend.queue.onSubmittedWorkDone()
          output.dispose()
        },
        async result() {
          const output = tf.tidy(compute)
          if (task.operation !== 'fft') return (await output.data()) as Float32Array
          const parts = tf.tidy(() => [tf.real(output), tf.imag(output)])
          const [re, im] = await Promise.all(parts.map((part) => part.data()))
          output.dispose()
          return Float32Array.from(
            { length: (re?.length ?? 0) * 2 },
            (_, i) => (i % 2 === 0 ? re : im)?.[i >> 1] ?? NaN,
          )
        },
        close() {
          for (const tensor of inputs) tensor.dispose()
        },
      }
    },
  }
}

function tensorsOf({ operation }: Task, { shape, data }: Task['inputs'][number]): tf.Tensor[] {
  if (operation !== 'fft') return [tf.tensor(data, [...shape], 'float32')]
  const rows = shape.slice(0, -1)
  const part = (odd: number) =>
    tf.tensor(
      data.filter((_, i) => i % 2 === odd),
      rows,
      'float32',
    )
  return [tf.complex(part(0), part(1))]
}
