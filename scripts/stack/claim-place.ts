/** Takes the state folder and the port of an instance before anything is started. */
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { closeToOthers } from '#local-node/close-to-others.ts'
import { lockState } from '#local-node/state-lock.ts'
import { AppError } from '#shared/base/errors.ts'

export interface Place {
  readonly stateDir: string
  /** @default 127.0.0.1 */
  readonly host?: string | undefined
  /** 0 takes any free port. */
  readonly port: number
}

/**
 * Locks the folder until this process ends, and closes it to other users.
 * @returns a function that unlocks it
 * @throws {AppError} invalid_request naming the folder or port that is in use
 */
export async function claimPlace({ stateDir, host, port }: Place): Promise<() => void> {
  await mkdir(stateDir, { recursive: true, mode: 0o700 })
  const unlock = await lockState(stateDir)
  try {
    await refuseTakenPort(port, host ?? '127.0.0.1')
    await closeToOthers(stateDir)
    return unlock
  } catch (error) {
    unlock()
    throw error
  }
}

/** workerd would report a taken port only after everything was built. */
async function refuseTakenPort(port: number, host: string): Promise<void> {
  const server = createServer()
  try {
    server.listen(port, host)
    await once(server, 'listening')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
    const why =
      code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be listened at (${code})`
    throw new AppError(
      'invalid_request',
      `Port ${port} of ${host} ${why}. Choose another by --port.`,
      { cause },
    )
  }
  server.close()
  await once(server, 'close')
}
