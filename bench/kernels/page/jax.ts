/** jax-js on WebGPU; `jit` traces and compiles each operation before it is measured. */
import { blockUntilReady, defaultDevice, init, jit, nn, numpy as np } from '@jax-js/jax'
import type { Contender, Operation } from './contender.ts'

type Value = ReturnType<typeof np.array>

export async function openJax(): Promise<Contender> {
  await init('webgpu')
  defaultDevice('webgpu')
  const compiled = {
    matmul: jit((a: Value, b: Value) => np.matmul(a, b)),
    softmax: jit((x: Value) => nn.softmax(x, -1)),
    reduce: jit((x: Value) => np.sum(x, -1)),
    fft: jit((real: Value, imag: Value) => np.fft.fft({ real, imag })),
  }
  return {
    name: 'jax-js',
    async prepare({ operation, inputs }) {
      const values = inputs.flatMap(({ shape, data }) => {
        if (operation !== 'fft') return [np.array(data, { shape: [...shape] })]
        const rows = shape.slice(0, -1)
        return [0, 1].map((odd) =>
          np.array(
            data.filter((_, i) => i % 2 === odd),
            { shape: rows },
          ),
        )
      })
      await blockUntilReady(values.map((value) => value.ref))
      const compute = () => run(compiled, operation, values)
      return {
        async once() {
          const outputs = await blockUntilReady(compute())
          for (const output of outputs) output.dispose()
        },
        async result() {
          const parts = await Promise.all(compute().map((output) => output.data()))
          const [first, second] = parts as Float32Array[]
          if (first === undefined || second === undefined) return first ?? new Float32Array()
          return Float32Array.from(
            { length: first.length * 2 },
            (_, i) => (i % 2 === 0 ? first : second)[i >> 1] ?? NaN,
          )
        },
        close() {
          for (const value of values) value.dispose()
        },
      }
    },
  }
}

interface Compiled {
  readonly matmul: (a: Value, b: Value) => Value
  readonly softmax: (x: Value) => Value
  readonly reduce: (x: Value) => Value
  readonly fft: (real: Value, imag: Value) => { real: Value; imag: Value }
}

/** An operation consumes its arguments, so it gets new references. */
function run(compiled: Compiled, operation: Operation, values: readonly Value[]): Value[] {
  const [a, b] = values
  if (a === undefined) throw new Error('no input')
  if (operation === 'softmax' || operation === 'reduce') return [compiled[operation](a.ref)]
  if (b === undefined) throw new Error('no second input')
  if (operation === 'matmul') return [compiled.matmul(a.ref, b.ref)]
  const { real, imag } = compiled.fft(a.ref, b.ref)
  return [real, imag]
}
