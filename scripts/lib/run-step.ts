/** Runs one tool of the repository to its end, with its output shown. */
import { spawn } from 'node:child_process'
import { repositoryPath } from './paths.ts'

/** Resolves with the exit code; a tool that cannot be started counts as 1. */
export function runStep(tool: string, args: readonly string[]): Promise<number> {
  const child = spawn(repositoryPath(`node_modules/.bin/${tool}`), args, {
    cwd: repositoryPath('.'),
    stdio: 'inherit',
  })
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1))
    child.once('error', () => resolve(1))
  })
}
