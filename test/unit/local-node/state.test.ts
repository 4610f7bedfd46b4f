/** A node's state folder: only for its owner, and for one node at a time. */
import { chmod, mkdir, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { closeToOthers } from '#local-node/close-to-others.ts'
import { plainEnvironment } from '#local-node/engine/plain-environment.ts'
import { lockState } from '#local-node/state-lock.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'littoral-state-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

describe('a folder that other users can read', () => {
  test('is closed with everything in it, but not the targets of its links', async () => {
    const outside = join(folder, 'outside')
    const state = join(folder, 'state')
    await mkdir(join(state, 'deep'), { recursive: true })
    await writeFile(outside, 'x', { mode: 0o644 })
    await writeFile(join(state, 'deep', 'hub.sqlite'), 'x', { mode: 0o664 })
    await symlink(outside, join(state, 'link'))
    await chmod(state, 0o755)
    await closeToOthers(state)
    expect(await modeOf(state)).toBe('700')
    expect(await modeOf(join(state, 'deep'))).toBe('700')
    expect(await modeOf(join(state, 'deep', 'hub.sqlite'))).toBe('600')
    expect(await modeOf(outside)).toBe('644')
  })

  test('may be missing', async () => {
    await expect(closeToOthers(join(folder, 'none'))).resolves.toBeUndefined()
  })
})

describe('a state folder in use', () => {
  test('is refused to a second process, with its name and the first process', async () => {
    const unlock = await lockState(folder)
    await expect(lockState(folder)).rejects.toMatchObject({
      code: 'invalid_request',
      detail: expect.stringMatching(
        new RegExp(`^The state folder ${folder} is in use by process ${process.pid}\\.`),
      ),
    })
    unlock()
    ;(await lockState(folder))()
  })
})

describe('the environment of processes that run strangers’ work', () => {
  test('has what a driver needs and no secrets', () => {
    const plain = { PATH: '/bin', HOME: '/root', VK_DRIVER_FILES: 'icd.json', LC_ALL: 'C' }
    const secret = { LITTORAL_NODE_KEY: 'k', AWS_SECRET_ACCESS_KEY: 'k', NODE_OPTIONS: '--x' }
    expect(plainEnvironment({ ...plain, ...secret })).toEqual(plain)
  })
})
