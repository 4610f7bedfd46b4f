/**
 * Counts what a process asks of its runtime: timers, abort objects, signatures, key and cipher objects. The runtime's own
 * uses are left out. Load it before anything that keeps a reference to these functions.
 */
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Kind, Tally } from './tally.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
/** The test's own parts, and the sockets that stand in for workerd's. */
const HARNESS = /node_modules\/(?:vitest|@vitest|vite|ws)\/|test\/support\/counts\//
/** The intercepted functions pass through these. */
const OWN = /support\/counts\/(?:spies|held-timers)\.ts/
/** These have timers by the second, however many jobs there are. */
const BY_SECOND =
  /node_modules\/@libp2p\/gossipsub\/|p2p\/stream\/timer-wheel|hub\/(?:receipts\/delivery|network\/publisher)\.ts$/
/** Passes on what others ask for. */
const BETWEEN =
  /^(?:p2p\/stream\/clock|shared\/(?:base|proof)\/(?:signature|native-crypto|memoize))\.ts$/

const CRYPTO: Readonly<Record<string, Kind>> = {
  sign: 'asymmetric operations',
  verify: 'asymmetric operations',
  diffieHellman: 'asymmetric operations',
  createPrivateKey: 'key objects',
  createPublicKey: 'key objects',
  createCipheriv: 'cipher objects',
  createDecipheriv: 'cipher objects',
}
const SUBTLE: Readonly<Record<string, Kind>> = {
  sign: 'asymmetric operations',
  verify: 'asymmetric operations',
  importKey: 'key objects',
}

/** Counts in this process from now on. */
export function spyOnRuntime(tally: Tally): void {
  const count = (kind: Kind) => (name: string) => {
    const cause = caller()
    if (cause === undefined || HARNESS.test(cause) || BY_SECOND.test(cause)) return
    tally.add(kind, `${name} in ${cause}`)
  }
  for (const name of ['setTimeout', 'setInterval']) replace(globalThis, name, count('timers'))
  replace(globalThis, 'AbortController', count('abort objects'))
  replace(AbortSignal, 'any', count('abort objects'))
  replace(AbortSignal, 'timeout', count('abort objects'))
  replace(AbortSignal, 'timeout', count('timers'))
  const native = process.getBuiltinModule('node:crypto')
  for (const [name, kind] of Object.entries(CRYPTO))
    replace(native, name, (called) => tally.add(kind, `${called} in ${caller() ?? 'the runtime'}`))
  syncBuiltinESMExports()
  const subtle: object = Object.getPrototypeOf(crypto.subtle)
  for (const [name, kind] of Object.entries(SUBTLE))
    replace(subtle, name, (called, [algorithm]) => {
      if (!isMac(algorithm)) tally.add(kind, `subtle.${called} in ${caller() ?? 'the runtime'}`)
    })
}

/** Counts each time that this process makes bytes durable: by a sync, or by a write to a file that syncs itself. */
export async function spyOnFiles(tally: Tally, folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  const files: object = Object.getPrototypeOf(handle)
  await handle.close()
  const tell = (name: string) => tally.add('durable writes', name)
  for (const name of ['sync', 'datasync']) replace(files, name, tell)
  const plain = process.getBuiltinModule('node:fs')
  for (const name of ['fsync', 'fdatasync', 'write']) replace(plain, name, tell)
  syncBuiltinESMExports()
}

/** WebCrypto signs with symmetric keys too. */
function isMac(algorithm: unknown): boolean {
  return algorithm === 'HMAC'
}

type Tell = (name: string, args: readonly unknown[]) => void

/** Puts a function in the place of another that first tells its name and arguments. */
function replace(owner: object, name: string, tell: Tell): void {
  const found = Reflect.get(owner, name) as (...args: unknown[]) => unknown
  const told = new Proxy(found, {
    apply(target, self, args) {
      tell(name, args)
      return Reflect.apply(target, self, args)
    },
    construct(target, args, newTarget) {
      tell(name, args)
      return Reflect.construct(target, args, newTarget) as object
    },
  })
  Object.defineProperty(owner, name, { value: told, configurable: true, writable: true })
}

/** The file that asked, relative to the repository; undefined for the runtime itself. */
export function caller(): string | undefined {
  const lines = new Error().stack?.split('\n') ?? []
  const after = lines.findLastIndex((line) => OWN.test(line))
  return lines
    .slice(after + 1)
    .map((line) => /(?:\(|at |file:\/\/)(\/[^():?]+)/.exec(line)?.[1])
    .map((path) => (path === undefined ? undefined : relative(ROOT, path)))
    .find((path) => path === undefined || !BETWEEN.test(path))
}
