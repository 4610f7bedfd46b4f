/** The project's own kernels that are sent as text: they run as written, and are all that a node runs which is told to run listed ones. */
import { sha256, stringToBytes } from 'viem'
import type { Bytes32 } from '#shared/ids.ts'
import { SPECTRUM_KERNEL } from './spectrum.ts'

/** sha-256 of each kernel's WGSL text. */
export const LISTED_KERNELS: readonly Bytes32[] = [SPECTRUM_KERNEL].map(({ wgsl }) =>
  sha256(stringToBytes(wgsl)),
)
