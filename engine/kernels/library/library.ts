/** All kernels of the library, and the digest by which receipts name them. */
import { sha256, stringToBytes } from 'viem'
import type { Bytes32 } from '#shared/base/ids.ts'
import { findKernel } from '#shared/kernels/kernels.ts'
import { CONV1D, CONV2D } from './convolution.ts'
import { FFT } from './fft.ts'
import { HISTOGRAM } from './histogram.ts'
import type { LibraryKernel } from './kernel.ts'
import { MATMUL } from './matmul.ts'
import { REDUCE } from './reduce.ts'
import { SCAN } from './scan.ts'
import { SOFTMAX } from './softmax.ts'
import { SORT } from './sort.ts'

export const LIBRARY: readonly LibraryKernel[] = [
  MATMUL,
  SOFTMAX,
  REDUCE,
  SCAN,
  FFT,
  CONV1D,
  CONV2D,
  SORT,
  HISTOGRAM,
]

/** Hashes (SHA-256) a kernel's specification and its WGSL texts in order of their names. */
export function computeKernelDigest({ name, sources }: LibraryKernel): Bytes32 {
  const { resolve: _, ...spec } = findKernel(name)
  const texts = Object.entries(sources).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return sha256(stringToBytes(JSON.stringify({ spec, texts })))
}
