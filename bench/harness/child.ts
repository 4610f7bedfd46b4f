/** Starts programs beside the measuring process, and ends them with it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export interface Child {
  readonly pid: number
  /** The first line that it wrote. */
  readonly firstLine: string
  close(): Promise<void>
}

const START_TIMEOUT_MS = 60_000

/** Runs a TypeScript program; resolves when it has written its first line to stdout. */
export async function startChild(script: URL, args: readonly string[] = []): Promise<Child> {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', ...nodeFlags(), fileURLToPath(script), ...args],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const close = endWithUs(child)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(() => reject(new Error(`${script.href} said nothing`)), START_TIMEOUT_MS)
  child.once('exit', (code) => reject(new Error(`${script.href} ended with ${code}`)))
  child.once('error', reject)
  createInterface({ input: child.stdout }).once('line', resolve)
  try {
    return { pid: child.pid ?? 0, firstLine: await promise, close }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** Kills the child when this process exits. @returns a function that ends it earlier */
export function endWithUs(child: ChildProcess): () => Promise<void> {
  const { promise: exited, resolve } = Promise.withResolvers<void>()
  child.once('exit', () => resolve())
  // A program that cannot be started emits no exit.
  child.once('error', () => resolve())
  const killOnExit = () => void child.kill('SIGKILL')
  process.once('exit', killOnExit)
  void exited.then(() => process.off('exit', killOnExit))
  return async () => {
    child.kill('SIGTERM')
    await exited
  }
}

/** Children are profiled as well when this process is. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => flag.startsWith('--cpu-prof'))
}
