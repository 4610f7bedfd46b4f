/** Sends a request as raw bytes, for requests that no client would send. */
import { connect } from 'node:net'

export interface RawReply {
  /** 0 when the connection ended without an answer. */
  readonly status: number
  readonly body: string
}

/** Sends the text and reads until the answer is whole or the connection ends. */
export async function sendRaw(url: string, text: string): Promise<RawReply> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  socket.on('error', () => {})
  socket.write(text)
  let received = ''
  for await (const chunk of socket) {
    received += String(chunk)
    if (isWhole(received)) break
  }
  socket.destroy()
  const [head = '', body = ''] = received.split('\r\n\r\n', 2)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), body }
}

function isWhole(received: string): boolean {
  const end = received.indexOf('\r\n\r\n')
  const length = Number(/content-length: (\d+)/i.exec(received.slice(0, end))?.[1] ?? Infinity)
  return end !== -1 && Buffer.byteLength(received.slice(end + 4)) >= length
}
