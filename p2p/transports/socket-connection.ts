/** A libp2p connection over a WebSocket of any kind: a browser's, Node's, workerd's or the package ws's. */
import type { Logger, MessageStreamDirection, MultiaddrConnection } from '@libp2p/interface'
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { Uint8ArrayList } from 'uint8arraylist'
import { MIB } from '#shared/base/limits.ts'
import { systemClock } from '#p2p/stream/clock.ts'

/** Unsent bytes of one WebSocket at which writers wait. */
const SOCKET_BUFFER_BYTES = MIB

/** The part of a WebSocket that is used here. It must be open, with `binaryType` settable. */
export interface SocketLike {
  binaryType?: string
  readonly bufferedAmount?: number
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(
    type: 'close',
    listener: (event: { wasClean?: boolean; code?: number }) => void,
  ): void
  addEventListener(type: 'error', listener: (event: unknown) => void): void
}

export interface SocketConnectionInit {
  readonly socket: SocketLike
  readonly remoteAddr: Multiaddr
  readonly direction: MessageStreamDirection
  readonly log: Logger
}

/**
 * Close codes that a program may give: 1000, 3000 to 4999 (https://websockets.spec.whatwg.org/#dom-websocket-close).
 */
const NORMAL_CLOSE = 1000
export const RESET_CLOSE = 4000
/** How often a full socket is polled; WebSocket has no event for it. */
const DRAIN_POLL_MS = 5

export function socketConnection(init: SocketConnectionInit): MultiaddrConnection {
  return new SocketConnection(init)
}

/** Waits for the connection's upgrade. @throws what the upgrade fails with; the connection is aborted then */
export async function upgraded<T>(
  connection: MultiaddrConnection,
  upgrade: Promise<T>,
): Promise<T> {
  try {
    return await upgrade
  } catch (error) {
    connection.abort(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

class SocketConnection extends AbstractMultiaddrConnection {
  readonly #socket: SocketLike
  #cancelPoll = () => {}

  constructor(init: SocketConnectionInit) {
    super(init)
    const { socket } = init
    this.#socket = socket
    socket.binaryType = 'arraybuffer'
    socket.addEventListener('message', ({ data }) => {
      if (data instanceof ArrayBuffer) this.onData(new Uint8Array(data))
      else this.abort(new Error('A libp2p peer sends binary messages only.'))
    })
    socket.addEventListener('close', ({ wasClean, code }) => {
      this.#cancelPoll()
      if (wasClean === false || code === RESET_CLOSE) this.onRemoteReset()
      else this.onTransportClosed()
    })
    // A close event follows; without a listener the package ws throws.
    socket.addEventListener('error', () => this.log('the socket reported an error'))
  }

  override sendData(data: Uint8ArrayList): SendResult {
    // One message per write: each message costs a syscall and an event on the other side.
    this.#socket.send(toOwnBuffer(data))
    const canSendMore = this.#bufferedBytes() < SOCKET_BUFFER_BYTES
    if (!canSendMore) this.#pollDrain()
    return { sentBytes: data.byteLength, canSendMore }
  }

  override sendReset(): void {
    this.#cancelPoll()
    this.#socket.close(RESET_CLOSE, 'reset')
  }

  override sendClose(): Promise<void> {
    this.#socket.close(NORMAL_CLOSE)
    return Promise.resolve()
  }

  override sendPause(): void {
    // A WebSocket cannot be paused; yamux windows bound what a peer may send.
  }

  override sendResume(): void {}

  /** workerd's sockets do not report it; there yamux windows and job windows are the only bound. */
  #bufferedBytes(): number {
    return this.#socket.bufferedAmount ?? 0
  }

  #pollDrain(): void {
    this.#cancelPoll()
    this.#cancelPoll = systemClock.after(DRAIN_POLL_MS, () => {
      if (this.status !== 'open' && this.status !== 'closing') return
      if (this.#bufferedBytes() < SOCKET_BUFFER_BYTES / 2) this.safeDispatchEvent('drain')
      else this.#pollDrain()
    })
  }
}

function toOwnBuffer(data: Uint8ArrayList): Uint8Array<ArrayBuffer> {
  const bytes = data.subarray()
  return bytes.buffer instanceof ArrayBuffer
    ? (bytes as Uint8Array<ArrayBuffer>)
    : new Uint8Array(bytes)
}
