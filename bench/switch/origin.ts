/** Serves model files like a distant origin: each answer starts late and comes at a limited rate. */
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { modelFilePath } from '#local-node/models/model-path.ts'
import { MANIFESTS } from '#shared/job/manifests.ts'
import { listen, type Listening } from '#test/support/listen.ts'

export interface Distance {
  readonly latencyMs: number
  /** Rate of each answer. */
  readonly bytesPerSecond: number
}

const PIECE_BYTES = 256 * 1024

/** Serves `/models/SHA256`, as the operator's Worker does. */
export async function startOrigin({ latencyMs, bytesPerSecond }: Distance): Promise<Listening> {
  const files = new Map(
    MANIFESTS.flatMap((manifest) => manifest.files).map((file) => [`/models/${file.sha256}`, file]),
  )
  const server = createServer((request, response) => {
    const file = files.get(request.url ?? '')
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    const send = async () => {
      const bytes = await readFile(modelFilePath(file))
      await sleep(latencyMs)
      response.writeHead(200, { 'content-length': bytes.length })
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES)
        response.write(piece)
        await sleep((piece.length / bytesPerSecond) * 1000)
      }
      response.end()
    }
    send().catch(() => response.destroy())
  })
  return listen(server)
}
