/** The floor's node: answers each message with the bytes of one file, or with the message. `floor-node.ts URL FILE BYTES` */
import { readFileSync } from 'node:fs'
import { FLOOR_HEAD_BYTES } from './floor.ts'

// Exits in order, so that Node writes a CPU profile of this process.
process.on('SIGTERM', () => process.exit(0))

const [url = '', file = '', leastBytes = '0'] = process.argv.slice(2)
const answer = file === '' ? undefined : readAnswer()

// The runtime's own client, which the node program uses too.
const socket = new WebSocket(url)
socket.binaryType = 'arraybuffer'
socket.addEventListener('open', () => console.log('ready'))
socket.addEventListener('close', () => process.exit(1))
socket.addEventListener('message', ({ data }) => {
  const message = data as ArrayBuffer
  if (answer === undefined) return socket.send(message)
  new DataView(answer.buffer).setUint32(0, new DataView(message).getUint32(0))
  socket.send(answer)
})

function readAnswer(): Uint8Array<ArrayBuffer> {
  const body = readFileSync(file)
  const message = new Uint8Array(Math.max(FLOOR_HEAD_BYTES + body.length, Number(leastBytes)))
  message.set(body, FLOOR_HEAD_BYTES)
  new DataView(message.buffer).setUint32(4, body.length)
  return message
}
