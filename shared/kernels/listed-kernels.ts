/** The project's own kernels that are sent as text: they run as written, are all that a node runs which is told to run listed ones, and nobody's word bans them. */
import type { Bytes32 } from '#shared/base/ids.ts'

/** sha-256 of each kernel's WGSL text: `spectrum@1`. */
export const LISTED_KERNELS: readonly Bytes32[] = [
  '0x85438131d446a8b46096908821a562ce00eeb9b305d829eac931869851cf71b7',
]
