/** A client over a bare socket that sends slowly, reads slowly, or disconnects in the middle. */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface SlowRequest {
  readonly url: string
  /** @default POST */
  readonly method?: string
  readonly key: string
  /** @default none */
  readonly body?: string
  /** Bytes in each write. @default 1 */
  readonly sendBytes?: number
  /** Pause between two writes of the body. @default 0 */
  readonly everyMs?: number
  /** Limits each read and sets the pause between reads. @default no limit */
  readonly reading?: { readonly bytes: number; readonly everyMs: number }
  /** Resets the connection after this many bytes of the body. */
  readonly leaveAfterBytes?: number
}

export interface SlowReply {
  readonly status: number
  readonly text: string
}

/** @throws when the connection ended before the answer was complete */
export async function slowRequest(request: SlowRequest): Promise<SlowReply> {
  const { hostname, port, pathname } = new URL(request.url)
  const socket = connect({
    host: hostname,
    port: Number(port),
    allowHalfOpen: true,
  })
  const { body = '', method = 'POST', sendBytes = 1, everyMs = 0 } = request
  const { leaveAfterBytes = Infinity } = request
  socket.on('error', () => {})
  const reply = read(socket, request.reading)
  // The caller's await reports a failure; until then it must not count as unhandled.
  reply.catch(() => {})
  socket.write(
    `${method} ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${request.key}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`,
  )
  for (let at = 0; at < body.length && at < leaveAfterBytes; at += sendBytes) {
    socket.write(body.slice(at, at + sendBytes))
    await sleep(everyMs)
  }
  if (leaveAfterBytes <= body.length) socket.resetAndDestroy()
  return await reply
}

async function read(
  socket: ReturnType<typeof connect>,
  reading: SlowRequest['reading'],
): Promise<SlowReply> {
  const chunks: Buffer[] = []
  if (reading === undefined) for await (const chunk of socket) chunks.push(chunk as Buffer)
  else {
    for (;;) {
      const part = (socket.read(reading.bytes) ??
        (socket.readableEnded ? null : socket.read())) as Buffer | null
      if (part !== null) chunks.push(part)
      else if (socket.readableEnded || socket.destroyed) break
      await sleep(part === null ? 1 : reading.everyMs)
    }
  }
  const whole = Buffer.concat(chunks).toString('utf8')
  const [head = '', ...rest] = whole.split('\r\n\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? Number.NaN)
  if (Number.isNaN(status)) throw new Error('the connection ended without an answer')
  return { status, text: unchunk(head, rest.join('\r\n\r\n')) }
}

function unchunk(head: string, body: string): string {
  if (!/transfer-encoding: chunked/i.test(head)) return body
  let text = ''
  let rest = Buffer.from(body)
  for (;;) {
    const end = rest.indexOf('\r\n')
    const size = Number.parseInt(rest.subarray(0, end).toString(), 16)
    if (!(size > 0)) return text
    text += rest.subarray(end + 2, end + 2 + size).toString('utf8')
    rest = rest.subarray(end + 2 + size + 2)
  }
}
