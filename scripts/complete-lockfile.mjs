/**
 * Run after a change of dependencies: `node scripts/complete-lockfile.mjs`.
 * Where a registry lacks the packages of some platforms, npm leaves those optional packages out of the lockfile, and
 * `npm ci` then refuses it. This script adds each with the version that its owner pins and the platform in its name.
 * It downloads nothing.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const OS = {
  darwin: 'darwin',
  linux: 'linux',
  linuxmusl: 'linux',
  win32: 'win32',
  windows: 'win32',
  android: 'android',
  freebsd: 'freebsd',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  openharmony: 'openharmony',
  sunos: 'sunos',
  aix: 'aix',
  wasm32: undefined,
}
const CPU = {
  x64: 'x64',
  64: 'x64',
  amd64: 'x64',
  arm64: 'arm64',
  arm: 'arm',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
  mips64el: 'mips64el',
  wasm32: 'wasm32',
}

const file = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(file, 'utf8'))
const added = []
for (const [path, entry] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const near = `${path}/node_modules/${name}`
    const top = `node_modules/${name}`
    if (lock.packages[near] !== undefined || lock.packages[top] !== undefined) continue
    const platform = platformOf(name)
    if (platform === undefined || !/^\d/.test(version)) continue
    lock.packages[top] = {
      version,
      ...(entry.dev ? { dev: true } : {}),
      optional: true,
      ...platform,
    }
    added.push(`${name}@${version}`)
  }
}
const sorted = Object.entries(lock.packages).toSorted(([a], [b]) => (a < b ? -1 : 1))
lock.packages = Object.fromEntries(sorted)
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
console.log(added.length === 0 ? 'The lockfile is complete.' : `Added:\n  ${added.join('\n  ')}`)

/** `…-linux-arm64-gnu` → os and cpu as npm names them; undefined for a name without a platform. */
function platformOf(name) {
  const words = name.split('/').at(-1).split('-')
  const os = words.map((word) => OS[word]).find((value) => value !== undefined)
  const cpu = words
    .map((word) => CPU[word] ?? CPU[word.replace(/^arm$|eabi.*/, '')])
    .find((value) => value !== undefined)
  const isWasm = words.includes('wasm32')
  if (os === undefined && !isWasm) return undefined
  return { ...(cpu === undefined ? {} : { cpu: [cpu] }), ...(os === undefined ? {} : { os: [os] }) }
}
