/** Runs one tool of the repository and shows its output. */
import { spawn } from 'node:child_process'
import { repositoryPath } from './paths.ts'

/** Resolves with the exit code; a tool that cannot be started counts as 1. */
export function runStep(
  tool: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<number> {
  const child = spawn(repositoryPath(`node_modules/.bin/${tool}`), args, {
    cwd: repositoryPath('.'),
    env: { ...process.env, ...env },
    stdio: 'inherit',
  })
  return new Promise((resolve) => {
    child.once('exit', (code) => resolve(code ?? 1))
    child.once('error', () => resolve(1))
  })
}
