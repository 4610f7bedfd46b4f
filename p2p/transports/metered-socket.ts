/** Charges a peer for what it sends besides its work and for replies it causes. Overspending ends the socket. */
import { frameCost } from '#p2p/stream/credit.ts'
import type { Budget } from '#p2p/stream/peer-budget.ts'
import { RESET_CLOSE, type SocketLike } from './socket-connection.ts'

/** Size of yamux's own encrypted replies: pings, windows, resets. A peer can cause one with twelve bytes. */
const CONTROL_BYTES = 32

/** @param onSpent called once, after the socket was cut for an overspent budget */
export function meterSocket(socket: SocketLike, budget: Budget, onSpent: () => void) {
  const onClose: ((event: { wasClean: boolean; code: number }) => void)[] = []
  let isCut = false
  const cut = () => {
    if (isCut) return
    isCut = true
    socket.close(RESET_CLOSE, 'cut')
    // The peer may never answer the close, so listeners are told now.
    for (const listener of onClose) listener({ wasClean: false, code: RESET_CLOSE })
  }
  const pay = (cost: number): boolean => {
    if (isCut || budget.spend(cost)) return !isCut
    cut()
    onSpent()
    return false
  }
  const listen = (type: string, listener: (event: never) => void) =>
    (socket.addEventListener as (type: string, listener: (event: never) => void) => void)(
      type,
      (event) => {
        if (isCut) return
        if (type !== 'message' || pay(frameCost(sizeOf(event)))) listener(event)
      },
    )
  socket.binaryType = 'arraybuffer'
  const metered: SocketLike = {
    get bufferedAmount() {
      return socket.bufferedAmount ?? 0
    },
    send(data) {
      if (data.byteLength > CONTROL_BYTES || pay(frameCost(0))) socket.send(data)
    },
    close: (code, reason) => socket.close(code, reason),
    addEventListener(type: string, listener: (event: never) => void) {
      if (type === 'close') onClose.push(listener as (event: object) => void)
      listen(type, listener)
    },
  }
  return {
    socket: metered,
    /** Ends the socket: nothing more comes from it, whatever the peer does. */
    cut,
  }
}

function sizeOf({ data }: { readonly data: unknown }): number {
  return data instanceof ArrayBuffer ? data.byteLength : String(data).length
}
