/** A process of our own beside the measuring one: started, heard once, ended. */
import { spawn } from 'node:child_process'
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
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const killOnExit = () => child.kill('SIGKILL')
  process.once('exit', killOnExit)
  void exited.then(() => process.off('exit', killOnExit))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(() => reject(new Error(`${script.href} said nothing`)), START_TIMEOUT_MS)
  child.once('exit', (code) => reject(new Error(`${script.href} ended with ${code}`)))
  child.once('error', reject)
  createInterface({ input: child.stdout }).once('line', resolve)
  const close = async () => {
    child.kill('SIGTERM')
    await exited
  }
  try {
    return { pid: child.pid ?? 0, firstLine: await promise, close }
  } catch (error) {
    child.kill('SIGKILL')
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** A profile of the children as well, when this process takes one of itself. */
function nodeFlags(): string[] {
  return process.execArgv.filter((flag) => flag.startsWith('--cpu-prof'))
}
