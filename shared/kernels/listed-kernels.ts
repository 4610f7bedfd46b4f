/** The project's own kernels that travel as text. A node that runs only listed kernels runs these; nobody can ban them. */
import type { Bytes32 } from '#shared/base/ids.ts'

/** SHA-256 of each kernel's WGSL text: `spectrum@1`. */
export const LISTED_KERNELS: readonly Bytes32[] = [
  '0x85438131d446a8b46096908821a562ce00eeb9b305d829eac931869851cf71b7',
]
