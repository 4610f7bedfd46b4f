/** `npm run attest` against a Worker that pins the attester's key. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { repositoryPath } from '#scripts/base/paths.ts'
import { OPERATOR_KEY, startTestWorker, type TestWorker } from '#test/support/stack/worker.ts'

const NODE = '12D3KooWGRUfVhn7rP1fhW4mRDVmWcuJwuYRhUPxGX5EcHCZx9ij'
const run = promisify(execFile)

let dir: string
let worker: TestWorker
let key: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'littoral-attest-'))
  key = join(dir, 'attester.json')
  const { stdout } = await attest(['key', '--key', key])
  const ATTESTERS = stdout.split('ATTESTERS: ')[1]?.trim() ?? ''
  worker = await startTestWorker('production', { ATTESTERS, HUB_REGIONS: 'hub-a:any,hub-b:any' })
})
afterAll(async () => {
  await worker?.close()
  await rm(dir, { recursive: true, force: true })
})

function attest(args: readonly string[]) {
  const env = { ...process.env, OPERATOR_KEY }
  return run(process.execPath, [repositoryPath('scripts/commands/attest.ts'), ...args], { env })
}

const statement = (file: string, days = '30') => {
  const words = `sign --node ${NODE} --country DE --days ${days} --url ${worker.workerd.url}`
  return [...words.split(' '), '--key', file]
}
const listed = async () =>
  (await worker.call('GET', '/v1/operator/attestations', { key: OPERATOR_KEY })).body

describe("an operator's statement", () => {
  it('is signed with a key file that only its owner can read, and stored by the instance', async () => {
    expect((await stat(key)).mode & 0o777).toBe(0o600)
    expect((await attest(statement(key))).stdout).toContain(`${NODE} is attested in DE until`)
    expect(await listed()).toMatchObject({
      attestations: [{ statement: { nodeId: NODE, country: 'DE' } }],
    })
  })

  it('is refused when the instance does not know its key, or when it lasts too long', async () => {
    const other = join(dir, 'other.json')
    await attest(['key', '--key', other])
    await expect(attest(statement(other))).rejects.toThrow(/not signed by an attester/)
    await expect(attest(statement(key, '4000'))).rejects.toThrow(/400 days/)
    await expect(attest(['key', '--key', key])).rejects.toThrow(/exists already/)
  })

  it('is withdrawn by the operator, and not without the operator key', async () => {
    const path = `/v1/operator/attestations/${NODE}`
    expect((await worker.call('DELETE', path)).status).toBe(401)
    const url = ['--url', worker.workerd.url]
    expect((await attest(['withdraw', '--node', NODE, ...url])).stdout).toContain('no longer')
    expect(await listed()).toEqual({ attestations: [] })
    await expect(attest(['withdraw', '--node', NODE, ...url])).rejects.toThrow(/Nobody attested/)
  })
})
