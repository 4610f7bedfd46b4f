/** Serves model files to other nodes: only offered files, few at once, within the owner's byte rate. */
import type { Connection, Stream } from '@libp2p/interface'
import { AppError, toAppError, invariant } from '#shared/base/errors.ts'
import type { Bytes32 } from '#shared/base/ids.ts'
import { LIMITS, MIB } from '#shared/base/limits.ts'
import type { Log } from '#shared/base/log.ts'
import { cancellationOf } from '#p2p/stream/cancellation.ts'
import { systemClock, type Clock } from '#p2p/stream/clock.ts'
import { createSendWindow } from '#p2p/stream/credit.ts'
import { createFrameStream } from '#p2p/stream/frame-stream.ts'
import { bareFrame, jsonFrame, readJson, readNumber, type Frame } from '#p2p/stream/frames.ts'
import { sendData, type DataTarget } from '#p2p/stream/send-data.ts'
import { errorFrame } from '#p2p/stream/wire-error.ts'
import type { FileNode } from './file-node.ts'
import { FILE_JOB, FILES_PROTOCOL, FileRequest } from './file-protocol.ts'
import { createRateBucket, type RateBucket } from './rate-bucket.ts'

/** Files that one node sends to other nodes at once. */
const FILE_TRANSFERS = 4
/** Files that one node sends to one other node at once. */
export const FILE_TRANSFERS_PER_PEER = 2
/** Bytes a second that one node sends to other nodes in all. */
const FILE_BYTES_PER_SECOND = 32 * MIB
invariant(FILE_TRANSFERS_PER_PEER < FILE_TRANSFERS, 'One peer cannot take all transfers.')

/** A file that stays available until `release` is called. */
export interface OfferedFile {
  readonly sizeBytes: number
  read(offset: number): AsyncIterable<Uint8Array>
  release(): void
}

export interface FileServerOptions {
  /** Finds the file with this hash if it may be served. */
  readonly find: (sha256: Bytes32) => Promise<OfferedFile | undefined>
  readonly log: Log
  readonly clock?: Clock
  /** @default FILE_BYTES_PER_SECOND */
  readonly bytesPerSecond?: number
}

export async function serveFiles(node: FileNode, options: FileServerOptions): Promise<void> {
  const { find, log, clock = systemClock, bytesPerSecond = FILE_BYTES_PER_SECOND } = options
  const rate = createRateBucket(bytesPerSecond, clock)
  const transfers = new Map<string, number>()
  const count = (peer: string, change: 1 | -1) => {
    const left = (transfers.get(peer) ?? 0) + change
    if (left > 0) transfers.set(peer, left)
    else transfers.delete(peer)
  }
  const isFull = (peer: string): boolean => {
    const all = transfers.values().reduce((sum, one) => sum + one, 0)
    const own = transfers.get(peer) ?? 0
    return all >= FILE_TRANSFERS || own >= FILE_TRANSFERS_PER_PEER
  }
  await node.handle(
    FILES_PROTOCOL,
    (stream: Stream, connection: Connection) => {
      const peer = connection.remotePeer.toString()
      const isRefused = isFull(peer)
      count(peer, 1)
      void serveFile(stream, {
        clock,
        log,
        async give(request, target) {
          if (isRefused)
            throw new AppError(
              'no_capacity',
              'This node is already serving its maximum number of files.',
            )
          const file = await find(request.sha256)
          await sendFile(request, file, { target, rate })
          log.info('file.given', { ...request, sizeBytes: file?.sizeBytes })
        },
      }).finally(() => count(peer, -1))
    },
    { maxInboundStreams: FILE_TRANSFERS_PER_PEER * 2 },
  )
}

interface Transfer {
  readonly clock: Clock
  readonly log: Log
  /** Sends the file. @throws {AppError} why it is not served */
  readonly give: (request: FileRequest, target: DataTarget) => Promise<void>
}

/** Serves one stream to its end; never rejects. */
async function serveFile(stream: Stream, { clock, log, give }: Transfer): Promise<void> {
  const window = createSendWindow()
  const ended = new AbortController()
  const asked = Promise.withResolvers<FileRequest>()
  let isAsked = false
  const silence = createSilence(clock, () =>
    frames.fail(new AppError('node_timeout', 'The other node is not reading.')),
  )
  const onFrame = (frame: Frame) => {
    silence.heard()
    if (frame.kind === 'hello' && !isAsked) {
      isAsked = true
      asked.resolve(readJson(FileRequest, frame))
    } else if (frame.kind === 'credit' && isAsked) window.grant(readNumber(frame))
    else throw new AppError('invalid_request', `A ${frame.kind} frame has no place here.`)
  }
  const frames = createFrameStream(stream, { onFrame })
  void frames.ended.then((error) => {
    silence.stop()
    const gone = error ?? new AppError('cancelled', 'The other node has left.')
    ended.abort(gone)
    asked.reject(gone)
  })
  try {
    await give(await asked.promise, {
      frames,
      job: FILE_JOB,
      window,
      cancellation: cancellationOf(ended.signal),
    })
    // The other end closes after reading everything.
    await frames.ended
  } catch (error) {
    if (ended.signal.aborted) return
    const { code, detail } = toAppError(error)
    log.info('file.refused', { code, detail })
    frames.send(errorFrame(0, error))
    await frames.close()
  }
}

async function sendFile(
  { sha256, offset }: FileRequest,
  file: OfferedFile | undefined,
  { target, rate }: { readonly target: DataTarget; readonly rate: RateBucket },
): Promise<void> {
  if (file === undefined) throw new AppError('not_found', `This node serves no file ${sha256}.`)
  const { frames } = target
  try {
    if (offset >= file.sizeBytes)
      throw new AppError('invalid_request', `The file has only ${file.sizeBytes} bytes.`)
    frames.send(jsonFrame('welcome', 0, { sizeBytes: file.sizeBytes }))
    for await (const piece of file.read(offset)) {
      await rate.take(piece.byteLength)
      await sendData(target, piece)
    }
    frames.send(bareFrame('end', FILE_JOB))
  } finally {
    file.release()
  }
}

function createSilence(clock: Clock, onSilent: () => void) {
  let cancel = clock.after(LIMITS.modelStallMs, onSilent)
  return {
    heard() {
      cancel()
      cancel = clock.after(LIMITS.modelStallMs, onSilent)
    },
    stop: () => cancel(),
  }
}
