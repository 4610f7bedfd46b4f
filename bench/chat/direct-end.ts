/** Runs the chat model in a process of its own, as a node's engine does. */
import { openDirectText } from '../harness/direct-text.ts'
import type { AskDirect, FromDirect } from './messages.ts'

const opened = new Map<string, ReturnType<typeof openDirectText>>()

process.on('message', (ask: AskDirect) => {
  time(ask).then(
    (timing) => say({ timing }),
    (error: unknown) => say({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => process.exit(0))

async function time({ model, provider, input, maxTokens }: AskDirect) {
  const open = opened.get(model) ?? openDirectText(model, provider)
  opened.set(model, open)
  return (await open).time(input, maxTokens)
}

function say(message: FromDirect): void {
  process.send?.(message)
}
