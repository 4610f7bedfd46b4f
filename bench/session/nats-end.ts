/** A process that answers NATS requests with their own bytes: `nats-end.ts URL` */
import { answerNats } from '../dispatch/nats.ts'

process.on('SIGTERM', () => process.exit(0))

await answerNats(process.argv[2] ?? '')
console.log('ready')
