/** Digest of each library kernel, generated from its WGSL and its specification by `npm run generate`; do not edit. */
import type { Bytes32 } from '#shared/base/ids.ts'

export const KERNEL_DIGESTS: Readonly<Record<string, Bytes32>> = {
  'matmul@1': '0x9b5aff30f4116ccca8b7b774c79193fde2c2c743e772f14a7ab47345b9937b89',
  'softmax@1': '0xf6d28fe3e644274e7a88e30bf92eb7c3b76ef979394a748538702189f26eed3a',
  'reduce@1': '0x9a58ecd393c6e752303fc5bb58409a9632a17e8f30ca0cab3440687bced4cc36',
  'scan@1': '0x1c319a62822a675d8606c800f111231b9de757e9550c577034f559310fbba934',
  'fft@1': '0xe295303fb65e5a2141f140838b528b910a70c1f4c226f0488a75c5291561f360',
  'conv1d@1': '0x388661c3f845e6b2016bfa79bf79cbc3384bc0e6d467cb21cf426814eab07e0b',
  'conv2d@1': '0x6b56a3e5b730401339cee7104aff2b41397036aebaaa8ad1f3d06511aa9e7357',
  'sort@1': '0x312d1609957686c4a3295bbbf77773f5fba4292f327dbb229a81e37ef49a806d',
  'histogram@1': '0x936a85a569be975eaba6ba3029437778ab9af003bae1f98e5fa6a09535e9ca1f',
}
