/** Model files of a local node: its store, the nodes that it takes from, and what it gives to others. */
import { createReadStream } from 'node:fs'
import { newIdentity } from '#p2p/node.ts'
import { createFileNode, type FileNode } from '#p2p/files/file-node.ts'
import { serveFiles, type OfferedFile } from '#p2p/files/file-server.ts'
import type { FetchModelOptions } from '#node-core/model-shelf.ts'
import { peerSource } from '#node-core/peer-source.ts'
import type { Bytes32 } from '#shared/ids.ts'
import type { Log } from '#shared/log.ts'
import type { ModelManifest } from '#shared/model.ts'
import type { HeldFile, ModelStore } from './model-store.ts'

export interface NodeFilesOptions {
  readonly store: ModelStore
  /** Whose files may be given away. */
  readonly manifests: readonly ModelManifest[]
  /** Multiaddr to give files at; undefined gives none. */
  readonly listen?: string | undefined
  /** How others reach it. @default the addresses that it listens on */
  readonly announce?: string | undefined
  /** Whether it may take files from this machine and its network. */
  readonly mayDialPrivate: boolean
  readonly log: Log
}

export interface NodeFiles {
  /** Multiaddrs, with peer id, at which files are given. */
  readonly addresses: readonly string[]
  /** Brings all files of a model here and holds them until the returned function is called. */
  fetchModel(manifest: ModelManifest, options: FetchModelOptions): Promise<() => void>
  close(): Promise<void>
}

export async function createNodeFiles(options: NodeFilesOptions): Promise<NodeFiles> {
  const { store, manifests, listen, announce, mayDialPrivate, log } = options
  let node: Promise<FileNode> | undefined
  // Its key lasts as long as the process: the address that names it is announced anew each time.
  const open = () =>
    (node ??= newIdentity().then((privateKey) =>
      createFileNode({
        privateKey,
        listen: listen === undefined ? [] : [listen],
        mayDialPrivate,
      }),
    ))
  let addresses: string[] = []
  if (listen !== undefined) {
    const server = await open()
    await serveFiles(server, { find: (sha256) => findFile(sha256, { store, manifests }), log })
    addresses =
      announce === undefined
        ? server.getMultiaddrs().map(String)
        : [`${announce}/p2p/${server.peerId.toString()}`]
    log.info('files.serving', { addresses: addresses.join(' ') })
  }
  return {
    addresses,
    async fetchModel(manifest, { peers, signal }) {
      const held: HeldFile[] = []
      const release = () => held.forEach((file) => file.release())
      const sources = peers.map((address) => peerSource(address, open))
      try {
        for (const file of manifest.files)
          held.push(await store.fetch(file, { signal, peers: sources }))
        return release
      } catch (error) {
        release()
        throw error
      }
    },
    close: async () => (await node)?.stop(),
  }
}

/** Files of known manifests only, whatever else the store may hold. */
async function findFile(
  sha256: Bytes32,
  { store, manifests }: Pick<NodeFilesOptions, 'store' | 'manifests'>,
): Promise<OfferedFile | undefined> {
  const file = manifests.flatMap(({ files }) => files).find((known) => known.sha256 === sha256)
  const held = file === undefined ? undefined : await store.find(file)
  if (held === undefined) return undefined
  return {
    sizeBytes: held.sizeBytes,
    read: (offset) => createReadStream(held.path, { start: offset }) as AsyncIterable<Uint8Array>,
    release: () => held.release(),
  }
}
