/** A TCP proxy that delays every byte each way: distance, for tests. */
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'

export interface DelayProxy {
  readonly port: number
  close(): void
}

/** @param oneWayMs how long a byte takes in each direction; a timer may be a millisecond late, never early */
export async function startDelayProxy(targetPort: number, oneWayMs: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = createConnection(targetPort, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      // Timers of equal length fire in the order in which they were set.
      from.on('data', (bytes) => setTimeout(() => to.writable && to.write(bytes), oneWayMs))
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        setTimeout(() => to.destroy(), oneWayMs)
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}
