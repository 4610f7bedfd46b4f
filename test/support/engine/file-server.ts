/** A file server with deliberate faults: cuts connections, ignores ranges, sends other bytes, stalls. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FileBehaviour {
  readonly bytes: Uint8Array
  /** Closes the connection after this many bytes of an answer, this many times. */
  readonly cutAfterBytes?: number
  readonly cuts?: number
  readonly ignoresRanges?: boolean
  /** Sends these bytes, then nothing, and never ends. */
  readonly stallAfterBytes?: number
  readonly status?: number
  readonly redirectTo?: string
}

export interface FileServer {
  readonly url: string
  /** Path and range header of each request. */
  readonly requests: { readonly path: string; readonly range: string | undefined }[]
  put(path: string, file: FileBehaviour): void
  close(): Promise<void>
}

export async function startFileServer(): Promise<FileServer> {
  const files = new Map<string, FileBehaviour & { cutsLeft: number }>()
  const requests: FileServer['requests'] = []
  const server = createServer((request, response) => {
    const path = request.url ?? '/'
    requests.push({ path, range: request.headers.range })
    const file = files.get(path)
    if (file === undefined) response.writeHead(404).end()
    else answer(file, request.headers.range, response)
  })
  server.listen(0, '127.0.0.1')
  await new Promise<void>((resolve) => server.once('listening', () => resolve()))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    put: (path, file) => void files.set(path, { ...file, cutsLeft: file.cuts ?? 1 }),
    async close() {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

function answer(
  file: FileBehaviour & { cutsLeft: number },
  range: string | undefined,
  response: ServerResponse,
): void {
  if (file.redirectTo !== undefined) {
    response.writeHead(302, { location: file.redirectTo }).end()
    return
  }
  if (file.status !== undefined) {
    response.writeHead(file.status).end()
    return
  }
  const total = file.bytes.length
  const start =
    file.ignoresRanges === true ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0)
  const body = file.bytes.subarray(start)
  response.writeHead(start > 0 ? 206 : 200, {
    'content-length': body.length,
    ...(start > 0 ? { 'content-range': `bytes ${start}-${total - 1}/${total}` } : {}),
  })
  if (file.stallAfterBytes !== undefined) {
    response.write(body.subarray(0, file.stallAfterBytes))
    return
  }
  if (file.cutAfterBytes !== undefined && file.cutsLeft > 0) {
    file.cutsLeft -= 1
    response.write(body.subarray(0, file.cutAfterBytes), () =>
      setTimeout(() => response.destroy(), 20),
    )
    return
  }
  response.end(body)
}
