/** Another node as a source of model files. */
import { openPeerFile } from '#p2p/files/file-client.ts'
import type { FileNode } from '#p2p/files/file-node.ts'
import { AppError } from '#shared/base/errors.ts'
import type { FileSource } from './file-source.ts'

/** @param openNode makes the node that dials, when the first file is wanted */
export function peerSource(address: string, openNode: () => Promise<FileNode>): FileSource {
  const name = `node ${address.split('/p2p/').at(-1)?.slice(-12) ?? 'unknown'}`
  return {
    name,
    async open({ sha256, sizeBytes: wantedBytes }, offset, signal) {
      const request = { address, sha256, offset, signal }
      const { sizeBytes, bytes } = await openPeerFile(await openNode(), request)
      if (sizeBytes === wantedBytes) return { offset, bytes }
      throw new AppError('no_capacity', `${name} has a file of ${sizeBytes} bytes by that hash.`)
    },
  }
}
