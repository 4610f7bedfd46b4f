/** The project's own kernels: the only ones that a tab runs until any kernel can be bounded. */
import { sha256, stringToBytes } from 'viem'
import type { Bytes32 } from '#shared/ids.ts'
import { SPECTRUM_KERNEL } from './spectrum.ts'

/** sha-256 of each kernel's WGSL text. */
export const LISTED_KERNELS: readonly Bytes32[] = [SPECTRUM_KERNEL].map(({ wgsl }) =>
  sha256(stringToBytes(wgsl)),
)
