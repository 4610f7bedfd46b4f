/** Starts the direct end and asks it for one answer at a time. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { AskDirect, FromDirect, TextTiming } from './direct-end.ts'

export interface DirectProcess {
  readonly pid: number
  time(ask: AskDirect): Promise<TextTiming>
  close(): void
}

export function startDirect(): DirectProcess {
  const child = fork(fileURLToPath(new URL('./direct-end.ts', import.meta.url)), [], {
    serialization: 'advanced',
    // Nodes are detached too: Linux shares cores between sessions, and a process in ours would get a smaller share.
    detached: true,
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  return {
    pid: child.pid ?? 0,
    async time(ask) {
      const { promise, resolve, reject } = Promise.withResolvers<TextTiming>()
      const onExit = (code: number | null) =>
        reject(new Error(`the direct end of the chat bench ended with ${code}`))
      child.once('exit', onExit)
      child.once('message', (message: FromDirect) => {
        if ('timing' in message) resolve(message.timing)
        else reject(new Error(message.error))
      })
      child.send(ask)
      try {
        return await promise
      } finally {
        child.off('exit', onExit)
      }
    },
    close() {
      process.off('exit', kill)
      kill()
    },
  }
}
