/** ONNX Runtime's WebGPU provider, on graphs of one node with tensors bound to the device. */
import * as ort from 'onnxruntime-web/jspi'
import { writeOnnx } from '../../../test/support/engine/onnx-writer.ts'
import type { Contender, Operation } from './contender.ts'

interface OneNode {
  readonly op: string
  readonly inputs: readonly string[]
  readonly attributes?: Readonly<Record<string, number>>
}

/** Without the Fourier transform: this provider lacks it, and it would run on wasm. */
const NODES: Readonly<Partial<Record<Operation, OneNode>>> = {
  matmul: { op: 'MatMul', inputs: ['i0', 'i1'] },
  softmax: { op: 'Softmax', inputs: ['i0'], attributes: { axis: -1 } },
  reduce: { op: 'ReduceSum', inputs: ['i0', 'axes'], attributes: { keepdims: 1 } },
}
const LAST_AXIS = {
  name: 'axes',
  type: 'int64',
  dims: [1],
  bytes: new Uint8Array(BigInt64Array.of(-1n).buffer),
} as const

export async function openOrt(): Promise<Contender> {
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  return {
    name: 'ort-web',
    async prepare({ operation, inputs }) {
      const node = NODES[operation]
      if (node === undefined) return undefined
      const graph = oneNodeGraph(node, inputs[0]?.shape.length ?? 2)
      const session = await ort.InferenceSession.create(graph, {
        executionProviders: ['webgpu'],
        preferredOutputLocation: 'gpu-buffer',
      })
      const device = (await ort.env.webgpu.device) as GPUDevice
      const buffers = inputs.map(({ data }) => {
        const buffer = device.createBuffer({
          size: data.byteLength,
          usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
        })
        device.queue.writeBuffer(buffer, 0, data)
        return buffer
      })
      const feeds = Object.fromEntries(
        buffers.map((buffer, i) => [
          `i${i}`,
          ort.Tensor.fromGpuBuffer(buffer, {
            dataType: 'float32',
            dims: [...(inputs[i]?.shape ?? [])],
          }),
        ]),
      )
      const compute = async () => {
        const { y } = await session.run(feeds)
        if (y === undefined) throw new Error('no output')
        return y
      }
      return {
        async once() {
          const output = await compute()
          await device.queue.onSubmittedWorkDone()
          output.dispose()
        },
        async result() {
          const output = await compute()
          return (await output.getData(true)) as Float32Array
        },
        close() {
          for (const buffer of buffers) buffer.destroy()
          void session.release()
        },
      }
    },
  }
}

/** Inputs are `i0` and `i1`, the output is `y`; sizes are free. */
function oneNodeGraph(node: OneNode, rank: number): Uint8Array {
  const value = (name: string) => ({
    name,
    type: 'float' as const,
    dims: Array.from({ length: rank }, (_, i) => `${name}_${i}`),
  })
  return writeOnnx({
    inputs: node.inputs.filter((name) => name !== LAST_AXIS.name).map(value),
    outputs: [value('y')],
    nodes: [{ ...node, outputs: ['y'] }],
    tensors: node.inputs.includes(LAST_AXIS.name) ? [LAST_AXIS] : [],
  }).model
}
