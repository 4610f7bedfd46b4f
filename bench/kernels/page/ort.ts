/** ONNX Runtime's WebGPU provider, on graphs of one node with tensors bound to the device. */
import * as ort from 'onnxruntime-web/jspi'
import { encodeGraph } from './onnx-graph.ts'
import type { Contender, Operation } from './contender.ts'

/** Without the Fourier transform: this provider lacks it, and it would run on wasm. */
const NODES: Readonly<
  Partial<Record<Operation, { type: string; inputs: number; attributes: Record<string, number> }>>
> = {
  matmul: { type: 'MatMul', inputs: 2, attributes: {} },
  softmax: { type: 'Softmax', inputs: 1, attributes: { axis: -1 } },
  reduce: { type: 'ReduceSum', inputs: 1, attributes: { keepdims: 1 } },
}

export async function openOrt(): Promise<Contender> {
  ort.env.wasm.numThreads = 1
  ort.env.logLevel = 'error'
  return {
    name: 'ort-web',
    async prepare({ operation, inputs }) {
      const node = NODES[operation]
      if (node === undefined) return undefined
      const rank = inputs[0]?.shape.length ?? 2
      const outRank = rank
      const graph = encodeGraph({ ...node, rank, outRank, lastAxis: operation === 'reduce' })
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
