/** The loopback upstream of the proxies: answers each request with the bytes of one file. */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { finished } from 'node:stream/promises'

const [file = ''] = process.argv.slice(2)
const body = readFileSync(file)
const headers = { 'content-type': 'application/json', 'content-length': body.length }

const server = createServer((incoming, outgoing) => {
  finished(incoming.resume()).then(
    () => outgoing.writeHead(200, headers).end(body),
    () => outgoing.destroy(),
  )
})
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo
  console.log(`http://127.0.0.1:${port}`)
})
