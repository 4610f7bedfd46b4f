/** `matmul@1`: pads operands to whole vectors where necessary, multiplies, and cuts the padding off. */
import type { ResolvedJob } from '#shared/kernels/kernels.ts'
import { LINEAR_MAIN, threadGroups, type LibraryKernel, type Pass } from './kernel.ts'
import { copySources, REGISTER_GROUP, registerSource, TILE, TILE_SOURCE } from './matmul-source.ts'

export function matmulShape({ inputs, outputs }: ResolvedJob) {
  const [m = 1, n = 1] = outputs[0]?.shape.slice(-2) ?? []
  const k = inputs[0]?.shape.at(-1) ?? 1
  const batch = (inputs[0]?.shape.length ?? 2) === 3 ? (inputs[0]?.shape[0] ?? 1) : 1
  return { batch, m, n, k, isHalf: inputs[0]?.datatype === 'FP16' }
}

/** Rows and vectors of four columns that a thread of each register variant computes. */
const REGISTERS: Readonly<Record<string, readonly [number, number]>> = {
  'registers-4x4': [4, 1],
  'registers-8x4': [8, 1],
  'registers-4x8': [4, 2],
}

export const MATMUL: LibraryKernel = {
  name: 'matmul@1',
  sources: {
    ...Object.fromEntries(
      Object.entries(REGISTERS).map(([name, [rows, columns]]) => [
        name,
        registerSource(rows, columns),
      ]),
    ),
    tiles: TILE_SOURCE,
    ...copySources(LINEAR_MAIN),
  },
  variants: {
    software: Object.keys(REGISTERS),
    hardware: ['tiles', 'registers-4x4', 'registers-8x4'],
  },
  trial(isSoftware) {
    const size = isSoftware ? 192 : 1024
    return ['a', 'b'].map((name) => ({ name, shape: [size, size] }))
  },
  plan(job, variant) {
    const shape = matmulShape(job)
    const { batch, m, n, isHalf } = shape
    const [n4, k4] = [Math.ceil(n / 4), Math.ceil(shape.k / 4)]
    const scratch: Record<string, number> = {}
    const passes: Pass[] = []
    /** The operand as whole vectors: itself or a padded copy. */
    const padded = (
      name: string,
      from: readonly [number, number],
      to: readonly [number, number],
    ) => {
      const isWhole = !isHalf && from[0] === to[0] && from[1] === to[1]
      if (isWhole) return name
      const count = batch * to[0] * to[1]
      scratch[`${name}Padded`] = count * 4
      passes.push({
        source: isHalf ? 'widen' : 'copy',
        buffers: [name, `${name}Padded`],
        words: [count, from[1], to[1], from[0], to[0]],
        workgroups: threadGroups(count),
      })
      return `${name}Padded`
    }
    const a = padded('a', [m, shape.k], [m, k4 * 4])
    const b = padded('b', [shape.k, n], [k4 * 4, n4 * 4])
    const isDirect = !isHalf && n4 * 4 === n
    if (!isDirect) scratch.cPadded = batch * m * n4 * 16
    passes.push(product({ variant, buffers: [a, b, isDirect ? 'c' : 'cPadded'], batch, m, n4, k4 }))
    const count = batch * m * n
    if (!isDirect)
      passes.push({
        source: isHalf ? 'narrow' : 'copy',
        buffers: ['cPadded', 'c'],
        words: [count, n4 * 4, n, m, m],
        workgroups: threadGroups(isHalf ? Math.ceil(count / 2) : count),
      })
    return { scratch, passes }
  },
}

interface Product {
  readonly variant: string
  readonly buffers: readonly string[]
  readonly batch: number
  readonly m: number
  readonly n4: number
  readonly k4: number
}

function product({ variant, buffers, batch, m, n4, k4 }: Product): Pass {
  const [rows, columns] = REGISTERS[variant] ?? [0, 0]
  const workgroups: [number, number, number] =
    variant === 'tiles'
      ? [Math.ceil(n4 / (TILE / 4)), Math.ceil(m / TILE), batch]
      : [
          Math.ceil(n4 / columns / REGISTER_GROUP[0]),
          Math.ceil(m / rows / REGISTER_GROUP[1]),
          batch,
        ]
  return { source: variant, buffers, words: [m, n4, k4], workgroups }
}
