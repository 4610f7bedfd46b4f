/** Runs forge offline, and keeps the ABI and bytecode of each contract. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Abi, Hex } from 'viem'
import { repositoryPath } from './paths.ts'

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

/** Path of the program itself: npm's wrapper would leave it running when the wrapper is killed. */
export function foundryBinary(tool: 'anvil' | 'forge'): string {
  const cpu = process.arch === 'x64' ? 'amd64' : process.arch
  return repositoryPath(`node_modules/@foundry-rs/${tool}-${process.platform}-${cpu}/bin/${tool}`)
}

/**
 * Runs forge in the repository's root; a failing exit code is no rejection.
 * Each run has an output folder of its own, so that runs do not disturb each other.
 */
export async function runForge(args: readonly string[], outDir?: string): Promise<ForgeRun> {
  const dir = outDir ?? (await makeOutDir())
  const places = ['--out', join(dir, 'out'), '--cache-path', join(dir, 'cache')]
  try {
    return await spawnForge([...args, ...places])
  } finally {
    if (outDir === undefined) await rm(dir, { recursive: true, force: true })
  }
}

/**
 * Reads a built contract; builds first when the sources have changed.
 * @throws with the compiler's output when they do not compile
 */
export async function readArtifact(name: ContractName): Promise<Artifact> {
  const sources = await digestSources()
  const file = repositoryPath(`contracts/out/${name}.json`)
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  if (kept !== undefined) {
    const artifact = JSON.parse(kept) as Artifact & { readonly sources: string }
    if (artifact.sources === sources) return artifact
  }
  await build(sources)
  return JSON.parse(await readFile(file, 'utf8')) as Artifact
}

async function build(sources: string): Promise<void> {
  const dir = await makeOutDir()
  try {
    const { exitCode, stdout, stderr } = await runForge(['build', '--skip', 'test'], dir)
    if (exitCode !== 0) throw new Error(`forge build failed\n${stdout}\n${stderr}`)
    for (const name of CONTRACTS) {
      const text = await readFile(join(dir, 'out', `${name}.sol`, `${name}.json`), 'utf8')
      const built = JSON.parse(text) as { abi: Abi; bytecode: { object: Hex } }
      const artifact = { sources, abi: built.abi, bytecode: built.bytecode.object }
      const written = join(dir, `${name}.json`)
      await writeFile(written, JSON.stringify(artifact))
      await rename(written, repositoryPath(`contracts/out/${name}.json`))
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Digest of everything that the compiler's output depends on: sources, settings, compiler and library. */
export async function digestSources(): Promise<string> {
  const hash = createHash('sha256')
  const folder = repositoryPath('contracts/src')
  const files = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = files
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  for (const path of [
    ...paths.toSorted(),
    repositoryPath('foundry.toml'),
    repositoryPath('node_modules/solc/package.json'),
    repositoryPath('node_modules/@openzeppelin/contracts/package.json'),
  ])
    hash.update(await readFile(path)).update('\0')
  return hash.digest('hex')
}

async function makeOutDir(): Promise<string> {
  await mkdir(repositoryPath('contracts/out'), { recursive: true })
  return mkdtemp(repositoryPath('contracts/out/run-'))
}

function spawnForge(args: readonly string[]): Promise<ForgeRun> {
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
