/** Sends fewer yamux window updates: js-libp2p sends one for every data frame, other yamuxes wait for half a window. */

/** Fields of js-libp2p's yamux stream that its interface does not show. */
interface YamuxStream {
  readonly recvWindow: number
  readonly recvWindowCapacity: number
  sendWindowUpdate(): void
}

/** Holds updates back until half the window is used: the sender has credit until then. Other streams are left alone. */
export function holdSmallWindowUpdates(stream: object): void {
  if (!isYamux(stream)) return
  const send = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (stream.recvWindowCapacity < stream.recvWindow / 2) send()
  }
}

function isYamux(stream: object): stream is YamuxStream {
  return 'sendWindowUpdate' in stream && 'recvWindow' in stream && 'recvWindowCapacity' in stream
}
