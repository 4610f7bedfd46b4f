/** A second instance on the same state folder or port is refused before it builds or starts anything. */
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { claimPlace } from '#scripts/stack/claim-place.ts'
import { startStack } from '#scripts/stack/stack.ts'
import { silentLog } from '#shared/base/log.ts'

let stateDir: string
beforeEach(async () => {
  stateDir = await mkdtemp(join(tmpdir(), 'littoral-place-'))
})
afterEach(() => rm(stateDir, { recursive: true, force: true }))

describe('a state folder', () => {
  it('belongs to one instance until it is released', async () => {
    const giveBack = await claimPlace({ stateDir, port: 0 })
    await expect(claimPlace({ stateDir, port: 0 })).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringContaining(`${stateDir} is in use by process ${process.pid}.`),
    })
    giveBack()
    ;(await claimPlace({ stateDir, port: 0 }))()
  })

  it('in use by another instance stops npm start before it builds or runs anything', async () => {
    const giveBack = await claimPlace({ stateDir, port: 0 })
    const steps: string[] = []
    const starting = startStack({
      dir: stateDir,
      log: silentLog,
      prepare: async () => void steps.push('build'),
      onStep: (text) => steps.push(text),
    })
    await expect(starting).rejects.toMatchObject({ code: 'invalid_request' })
    expect(steps).toEqual([])
    expect(await readdir(stateDir)).not.toContain('chain')
    giveBack()
  })
})

describe('a port', () => {
  it('in use by another program is refused by number and option, and the folder is free again', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await expect(claimPlace({ stateDir, port })).rejects.toMatchObject({
      code: 'invalid_request',
      detail: `Port ${port} of 127.0.0.1 is taken by another program. Choose another by --port.`,
    })
    other.close()
    await once(other, 'close')
    ;(await claimPlace({ stateDir, port }))()
  })
})
