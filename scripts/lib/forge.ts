/** Runs forge offline and reads what it built. */
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { Abi, Hex } from 'viem'
import { repositoryPath } from '#scripts/lib/paths.ts'

const CONTRACTS = ['Settlement', 'TestUsd'] as const
export type ContractName = (typeof CONTRACTS)[number]

export interface Artifact {
  readonly abi: Abi
  readonly bytecode: Hex
}

export interface ForgeRun {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** The program itself: npm's wrapper around it would leave it running when the wrapper is killed. */
export function foundryBinary(tool: 'anvil' | 'forge'): string {
  const cpu = process.arch === 'x64' ? 'amd64' : process.arch
  return repositoryPath(`node_modules/@foundry-rs/${tool}-${process.platform}-${cpu}/bin/${tool}`)
}

/** Runs forge in the repository's root and waits for its end; never rejects for a failing exit code. */
export function runForge(args: readonly string[]): Promise<ForgeRun> {
  return new Promise((resolve, reject) => {
    const child = spawn(foundryBinary('forge'), args, {
      cwd: repositoryPath('.'),
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.once('error', reject)
    child.once('close', (code) => resolve({ exitCode: code ?? 1, stdout, stderr }))
  })
}

/** Builds the contracts if they changed. @throws with the compiler's words when they do not compile. */
export async function buildContracts(): Promise<void> {
  const { exitCode, stdout, stderr } = await runForge(['build', '--skip', 'test'])
  if (exitCode !== 0) throw new Error(`forge build failed\n${stdout}\n${stderr}`)
}

/** Reads a built contract; `buildContracts` must have run. */
export async function readArtifact(name: ContractName): Promise<Artifact> {
  const file = repositoryPath(`contracts/out/${name}.sol/${name}.json`)
  const built = JSON.parse(await readFile(file, 'utf8')) as { abi: Abi; bytecode: { object: Hex } }
  return { abi: built.abi, bytecode: built.bytecode.object }
}
