/** Sends a POST that announces a body and never sends it: an answer was decided without reading the body. */
import { request } from 'node:http'
import type { Reply } from './worker.ts'

/** @param headers with the `content-length` of the body that never comes */
export function callUnsent(url: string, headers: Readonly<Record<string, string>>): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: 'POST', headers, timeout: 30_000 })
    call.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.once('end', () => {
        call.destroy()
        const answered = new Headers(
          Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
        )
        resolve({
          status: response.statusCode ?? 0,
          headers: answered,
          body: JSON.parse(text) as unknown,
        })
      })
    })
    call.once('timeout', () => call.destroy(new Error('nothing answered while the body was held')))
    call.once('error', reject)
    call.flushHeaders()
  })
}
