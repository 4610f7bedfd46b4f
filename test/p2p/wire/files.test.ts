/** Model files from node to node, over real WebSockets on this machine. Rules: docs/design/models.md. */
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNodeFiles, type NodeFiles } from '#local-node/models/model-files.ts'
import { createModelStore } from '#local-node/models/model-store.ts'
import { newIdentity } from '#p2p/peers/node.ts'
import { openPeerFile } from '#p2p/files/file-client.ts'
import { createFileNode, isPublicAddress, type FileNode } from '#p2p/files/file-node.ts'
import { serveFiles, FILE_TRANSFERS_PER_PEER } from '#p2p/files/file-server.ts'
import { createRateBucket } from '#p2p/files/rate-bucket.ts'
import { silentLog } from '#shared/base/log.ts'
import type { ModelFile, ModelManifest } from '#shared/job/model.ts'
import { EMBEDDING_MANIFEST } from '#test/support/hub/manifests.ts'
import { startFileServer, type FileServer } from '#test/support/engine/file-server.ts'
import { seededBytes } from '#test/support/hub/work.ts'

const BYTES = seededBytes(1_300_000, 5)
const SHA256 = `0x${createHash('sha256').update(BYTES).digest('hex')}` as ModelFile['sha256']
const FILE: ModelFile = {
  name: 'model.onnx',
  sha256: SHA256,
  sizeBytes: BYTES.length,
  sources: ['hf:acme/tiny@main/model.onnx'],
}
const MANIFEST: ModelManifest = { ...EMBEDDING_MANIFEST, files: [FILE] }
const signal = new AbortController().signal

let dir: string
let origin: FileServer
const closers: (() => Promise<unknown>)[] = []
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-files-'))
  origin = await startFileServer()
  closers.push(() => origin.close())
})
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
  await rm(dir, { recursive: true, force: true })
})

/** A node's files in a folder of their own; the test's server is the model hub. */
async function createNode(name: string, options: { serves: boolean; manifests?: ModelManifest[] }) {
  const store = await createModelStore({
    folder: join(dir, name),
    modelHub: origin.url,
    log: silentLog,
    stallMs: 2_000,
  })
  const files = await createNodeFiles({
    store,
    manifests: options.manifests ?? [MANIFEST],
    listen: options.serves ? '/ip4/127.0.0.1/tcp/0/ws' : undefined,
    mayDialPrivate: true,
    log: silentLog,
  })
  closers.push(() => files.close())
  return files
}

async function createGiver(manifests?: ModelManifest[]): Promise<NodeFiles> {
  await mkdir(join(dir, 'giver'), { recursive: true })
  await writeFile(join(dir, 'giver', SHA256), BYTES)
  return createNode('giver', { serves: true, ...(manifests === undefined ? {} : { manifests }) })
}

async function createTaker(): Promise<FileNode> {
  const node = await createFileNode({ privateKey: await newIdentity(), mayDialPrivate: true })
  closers.push(async () => node.stop())
  return node
}

const ask = (node: FileNode, giver: NodeFiles, offset = 0, sha256 = SHA256) =>
  openPeerFile(node, { address: giver.addresses[0] ?? '', sha256, offset, signal })

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return new Uint8Array(Buffer.concat(pieces))
}

describe('a node whose origin is gone', () => {
  it('[F6] takes a model’s files from another node, and keeps them only after their hash was right', async () => {
    const giver = await createGiver()
    const taker = await createNode('taker', { serves: false })
    await expect(taker.fetchModel(MANIFEST, { peers: [], signal })).rejects.toMatchObject({
      code: 'no_capacity',
    })
    const release = await taker.fetchModel(MANIFEST, { peers: giver.addresses, signal })
    expect(new Uint8Array(await readFile(join(dir, 'taker', SHA256)))).toEqual(BYTES)
    release()
  })

  it('[F6] continues at another node after a slow origin', async () => {
    origin.put('/acme/tiny/resolve/main/model.onnx', { bytes: BYTES, stallAfterBytes: 400_000 })
    const giver = await createGiver()
    const taker = await createNode('taker', { serves: false })
    await taker.fetchModel(MANIFEST, { peers: giver.addresses, signal })
    expect(new Uint8Array(await readFile(join(dir, 'taker', SHA256)))).toEqual(BYTES)
  })

  it('[F6] keeps nothing from a node that serves another file by that hash', async () => {
    const giver = await createGiver()
    const liar = await createFileNode({
      privateKey: await newIdentity(),
      listen: ['/ip4/127.0.0.1/tcp/0/ws'],
    })
    closers.push(async () => liar.stop())
    const wrong = seededBytes(BYTES.length, 6)
    await serveFiles(liar, {
      find: async () => ({
        sizeBytes: wrong.length,
        read: async function* (offset) {
          yield wrong.subarray(offset)
        },
        release: () => {},
      }),
      log: silentLog,
    })
    const addresses = liar.getMultiaddrs().map(String)
    const taker = await createNode('taker', { serves: false })
    await expect(taker.fetchModel(MANIFEST, { peers: addresses, signal })).rejects.toMatchObject({
      code: 'file_corrupt',
    })
    const both = [...addresses, ...giver.addresses]
    await taker.fetchModel(MANIFEST, { peers: both, signal })
    expect(new Uint8Array(await readFile(join(dir, 'taker', SHA256)))).toEqual(BYTES)
  })
})

describe('a node that serves files', () => {
  it('[F7] serves one from any offset', async () => {
    const giver = await createGiver()
    const taker = await createTaker()
    const { sizeBytes, bytes } = await ask(taker, giver, 1_034_567)
    expect(sizeBytes).toBe(BYTES.length)
    expect(await collect(bytes)).toEqual(BYTES.subarray(1_034_567))
  })

  it('[F7] serves only files of models that it knows, whatever is in its folder', async () => {
    const giver = await createGiver([])
    await expect(ask(await createTaker(), giver)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('[F7] refuses an offset past the end, and an invalid request', async () => {
    const giver = await createGiver()
    const taker = await createTaker()
    await expect(ask(taker, giver, BYTES.length)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(ask(taker, giver, -1)).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(ask(taker, giver, 0, '0x../../etc/passwd')).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })

  it('[F8] serves each node a few at once', async () => {
    const giver = await createGiver()
    const taker = await createTaker()
    const open = []
    for (let i = 0; i < FILE_TRANSFERS_PER_PEER; i += 1) open.push(await ask(taker, giver))
    await expect(ask(taker, giver)).rejects.toMatchObject({ code: 'no_capacity' })
    const other = await ask(await createTaker(), giver)
    expect(await collect(other.bytes)).toEqual(BYTES)
    for (const { bytes } of open) expect(await collect(bytes)).toEqual(BYTES)
    const again = await ask(taker, giver)
    expect((await collect(again.bytes)).length).toBe(BYTES.length)
  })

  it('[F8] is not dialled at a private address that a stranger named', async () => {
    const giver = await createGiver()
    const careful = await createFileNode({ privateKey: await newIdentity() })
    closers.push(async () => careful.stop())
    await expect(ask(careful, giver)).rejects.toThrow()
  })
})

describe('an address that a stranger named', () => {
  it.each([
    ['/ip4/8.8.8.8/tcp/80/ws', true],
    ['/ip6/2a00:1450::1/tcp/80/ws', true],
    ['/dns4/node.example/tcp/443/tls/ws', true],
    ['/ip4/127.0.0.1/tcp/80/ws', false],
    ['/ip4/169.254.169.254/tcp/80/ws', false],
    ['/ip4/10.1.2.3/tcp/443/tls/ws', false],
    ['/ip6/::1/tcp/80/ws', false],
    ['/ip6/::ffff:7f00:1/tcp/80/ws', false],
    ['/ip6/64:ff9b::7f00:1/tcp/80/ws', false],
    ['/ip6/fd00::1/tcp/80/ws', false],
    ['/dns4/localhost/tcp/80/ws', false],
    ['/dns4/localhost/tcp/443/tls/ws', false],
    ['/dns/LOCALHOST./tcp/443/tls/ws', false],
    ['/dns4/a.localhost/tcp/443/tls/ws', false],
    ['/dns4/printer/tcp/443/tls/ws', false],
    ['/dns4/printer.local/tcp/443/tls/ws', false],
    ['/dns4/127.0.0.1/tcp/80/ws', false],
    ['/dns4/127.0.0.1/tcp/443/tls/ws', false],
    ['/dns4/127.1/tcp/443/tls/ws', false],
    ['/dns4/2130706433/tcp/443/tls/ws', false],
    ['/dns4/0x7f000001/tcp/443/tls/ws', false],
    ['/dns6/[::1]/tcp/443/tls/ws', false],
    ['/dns/10.1.2.3/tcp/443/tls/ws', false],
    ['/ip4/0.0.0.0/tcp/443/tls/ws', false],
    ['/ip4/8.8.8.8/tcp/443/tls/sni/localhost/ws', false],
    ['/ip4/8.8.8.8/tcp/443/tls/sni/127.0.0.1/ws', false],
    ['/dns4/8.8.8.8/tcp/80/ws', true],
    ['/dns4/node.example/tcp/80/ws', false],
    // The dialler uses the name, whatever address precedes it.
    ['/ip4/8.8.8.8/tcp/80/sni/localhost/ws', false],
    ['/ip4/8.8.8.8/tcp/443/tls/sni/node.example/ws', true],
  ])('%s is public: %s', (address, isPublic) => {
    expect(isPublicAddress(multiaddr(address))).toBe(isPublic)
  })
})

describe('the rate of all transfers', () => {
  it('[F8] lets one second’s worth go at once and makes the rest wait', async () => {
    let nowMs = 0
    const timers: { atMs: number; fire: () => void }[] = []
    const rate = createRateBucket(1_000, {
      nowMs: () => nowMs,
      after(delayMs, fire) {
        timers.push({ atMs: nowMs + delayMs, fire })
        return () => {}
      },
    })
    nowMs = 10_000
    await rate.take(1_000)
    let isThrough = false
    const waiting = rate.take(500).then(() => (isThrough = true))
    expect(timers.map(({ atMs }) => atMs)).toEqual([10_500])
    await Promise.resolve()
    expect(isThrough).toBe(false)
    timers[0]?.fire()
    await waiting
  })
})
