/** Work of simulated requests, and the engine that runs it. */
import { NodeId } from '#shared/base/ids.ts'
import type { Work } from '#shared/job/job.ts'
import { digestBytes } from '#shared/receipt/receipt.ts'
import { createRandom, type Random } from '../random.ts'

export const ECHO = {
  adapter: { name: 'simulated', isSoftware: true },
  models: [],
  kernels: 'any' as const,
  async run(
    _work: Work,
    payload: Uint8Array,
    { emit }: { emit: (bytes: Uint8Array) => Promise<void> },
  ) {
    await emit(payload)
    const { length } = payload
    const outputs = [
      { name: 'binding:0', datatype: 'UINT8' as const, shape: [length], sizeBytes: length },
    ]
    return { outputs, provider: 'cpu' as const, adapter: ECHO.adapter, computeMs: 0 }
  },
  close: () => Promise.resolve(),
}

export const MODEL = {
  kind: 'model',
  model: 'simulated',
  digest: `0x${'ab'.repeat(32)}`,
  inputs: [{ name: 'x', datatype: 'UINT8', shape: [8], sizeBytes: 8 }],
} as const satisfies Work

/** Each kernel has a text of its own, because two nodes lost under one kernel would ban it. */
export async function drawKernel(random: Random, sizeBytes: number): Promise<Work> {
  const wgsl = `@compute @workgroup_size(1) fn main() { let x = ${random.below(2 ** 31)}; }`
  return {
    kind: 'kernel',
    wgsl,
    entryPoint: 'main',
    workgroups: [1, 1, 1],
    buffers: [{ binding: 0, access: 'read_write', sizeBytes, filled: true, return: true }],
    digest: await digestBytes(new TextEncoder().encode(wgsl)),
  }
}

const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'

export function nodeIdOf(seed: number, n: number): NodeId {
  const random = createRandom(seed * 100 + n)
  const letters = Array.from({ length: 44 }, () => BASE58[random.below(58)])
  return NodeId.parse(`12D3KooW${letters.join('')}`)
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
