/** Takes a model file from another node, from an offset on. */
import { multiaddr } from '@multiformats/multiaddr'
import { AppError } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { createReceiveWindow } from '#p2p/stream/credit.ts'
import { createFrameStream, type FrameStream } from '#p2p/stream/frame-stream.ts'
import { jsonFrame, numberFrame, readJson, type Frame } from '#p2p/stream/frames.ts'
import { readWireError } from '#p2p/stream/wire-error.ts'
import type { FileNode } from './file-node.ts'
import { FILE_JOB, FILES_PROTOCOL, FileHeader } from './file-protocol.ts'

export interface PeerFileRequest {
  /** Multiaddr with the peer id of the serving node. */
  readonly address: string
  readonly sha256: Bytes32
  readonly offset: number
  readonly signal: AbortSignal
}

/** @throws {AppError} what the node refused with, or what the dial failed with */
export async function openPeerFile(node: FileNode, request: PeerFileRequest) {
  const { address, sha256, offset, signal } = request
  const connection = await node.dial(multiaddr(address), { signal })
  const stream = await connection.newStream(FILES_PROTOCOL, { signal })
  const header = Promise.withResolvers<FileHeader>()
  const intake = createIntake()
  let hasHeader = false
  const onFrame = (frame: Frame) => {
    if (frame.kind === 'welcome' && !hasHeader) {
      hasHeader = true
      header.resolve(readJson(FileHeader, frame))
    } else if (frame.kind === 'data' && hasHeader) intake.push(frame.body)
    else if (frame.kind === 'end' && hasHeader) intake.end()
    else if (frame.kind === 'error') throw readWireError(frame)
    else throw new AppError('invalid_request', `A ${frame.kind} frame has no place here.`)
  }
  const frames = createFrameStream(stream, { onFrame })
  const leave = () => frames.fail(new AppError('cancelled', 'Nobody is waiting for the file.'))
  signal.addEventListener('abort', leave)
  void frames.ended.then((error) => {
    signal.removeEventListener('abort', leave)
    const lost = error ?? new AppError('node_lost', 'The node closed the stream.')
    header.reject(lost)
    intake.fail(lost)
    if (connection.streams.length === 0) void connection.close().catch(() => {})
  })
  frames.send(jsonFrame('hello', 0, { sha256, offset }))
  const { sizeBytes } = await header.promise
  return { sizeBytes, bytes: intake.read(frames) }
}

/** Pieces not read yet. The receive window bounds them. */
function createIntake() {
  const window = createReceiveWindow()
  const pieces: Uint8Array[] = []
  let outcome: { readonly error: unknown } | undefined
  let woken = Promise.withResolvers<void>()
  const wake = () => {
    woken.resolve()
    woken = Promise.withResolvers()
  }
  const finish = (error?: unknown) => {
    outcome ??= { error }
    wake()
  }
  return {
    /** @throws {AppError} invalid_request for bytes without credit */
    push(piece: Uint8Array) {
      window.receive(piece.byteLength)
      pieces.push(piece)
      wake()
    },
    end: () => finish(),
    fail: (error: unknown) => finish(error),
    async *read(frames: FrameStream): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          const piece = pieces.shift()
          if (piece !== undefined) {
            yield piece
            const grantBytes = window.consume(piece.byteLength)
            if (grantBytes > 0) frames.send(numberFrame('credit', FILE_JOB, grantBytes))
          } else if (outcome !== undefined) {
            if (outcome.error !== undefined) throw outcome.error
            return
          } else await woken.promise
        }
      } finally {
        await frames.close()
      }
    },
  }
}
