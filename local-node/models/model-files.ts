/** Fetches model files from other nodes, and serves them to other nodes. */
import { createReadStream } from 'node:fs'
import { newIdentity } from '#p2p/peers/node.ts'
import { createFileNode, type FileNode } from '#p2p/files/file-node.ts'
import { serveFiles, type OfferedFile } from '#p2p/files/file-server.ts'
import type { FetchModelOptions } from '#node-core/model-shelf.ts'
import { peerSource } from '#node-core/peer-source.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import type { Log } from '#shared/base/log.ts'
import type { ModelManifest } from '#shared/job/model.ts'
import type { FetchOptions, HeldFile, ModelStore } from './model-store.ts'

/** Files of one model that are fetched in parallel. */
const MODEL_FILES_AT_ONCE = 3

export interface NodeFilesOptions {
  readonly store: ModelStore
  /** Only their files are served. */
  readonly manifests: readonly ModelManifest[]
  /** Multiaddr to serve files at; undefined serves none. */
  readonly listen?: string | undefined
  /** Multiaddr at which others reach it. @default the addresses that it listens on */
  readonly announce?: string | undefined
  /** Whether it may fetch files from this machine and its private network. */
  readonly mayDialPrivate: boolean
  readonly log: Log
}

export type NodeFiles = Awaited<ReturnType<typeof createNodeFiles>>

export async function createNodeFiles(options: NodeFilesOptions) {
  const { store, manifests, listen, announce, mayDialPrivate, log } = options
  let node: Promise<FileNode> | undefined
  // A new key per process is enough: the address that names it is announced again at each start.
  const open = () =>
    (node ??= newIdentity().then((privateKey) =>
      createFileNode({ privateKey, listen: listen ? [listen] : [], mayDialPrivate }),
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
    /** Multiaddrs, with peer id, at which files are served. */
    addresses,
    /** Fetches all files of a model and holds them until the returned function is called. */
    async fetchModel(
      manifest: ModelManifest,
      { peers, signal }: FetchModelOptions,
    ): Promise<() => void> {
      const sources = peers.map((address) => peerSource(address, open))
      return fetchAll(store, manifest, { signal, peers: sources })
    },
    close: async () => (await node)?.stop(),
  }
}

/** Fetches a few files at a time, so that small files do not wait for large ones. @returns releases them all */
async function fetchAll(
  store: ModelStore,
  { files }: ModelManifest,
  { signal, peers }: Required<Pick<FetchOptions, 'signal' | 'peers'>>,
): Promise<() => void> {
  const held: HeldFile[] = []
  const release = () => held.forEach((file) => file.release())
  const waiting = files.values()
  const failed = new AbortController()
  const options = { signal: AbortSignal.any([signal, failed.signal]), peers }
  const lane = async () => {
    for (const file of waiting) held.push(await store.fetch(file, options))
  }
  // A fault aborts the others. All of them are awaited, so that everything they hold is released.
  const lanes = Array.from({ length: MODEL_FILES_AT_ONCE }, () =>
    lane().catch((error: unknown) => failed.abort(error)),
  )
  await Promise.all(lanes)
  if (!failed.signal.aborted) return release
  release()
  throw failed.signal.reason
}

/** Finds files of known manifests only; the store may hold others. */
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
