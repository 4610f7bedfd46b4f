/** A busy key costs no cipher call for each request, and a guessed key gains nothing by that. */
import { afterEach, describe, expect, it, vi } from 'vitest'
import { randomBytes, TenantId } from '#shared/base/ids.ts'
import { createOpenedKeys } from '#worker/gate/opened-keys.ts'
import { sealKey } from '#worker/platform/key-seal.ts'
import { hashKey, newApiKey } from '#worker/protocols/api-key.ts'

const SECRET = 'the secret of this deployment'
const tenant = TenantId.parse('acme')
afterEach(() => void vi.restoreAllMocks())

function create() {
  let nowMs = 0
  const keys = createOpenedKeys({ size: 2, maxAgeMs: 1_000, nowMs: () => nowMs })
  return { keys, wait: (ms: number) => void (nowMs += ms) }
}

async function sealedKey() {
  const key = newApiKey(tenant, randomBytes)
  return { key, sealed: await sealKey(key, SECRET) }
}

describe('an opened key', () => {
  it('names its tenant and hash, and is checked by its mark once in a while', async () => {
    const { keys, wait } = create()
    const { key, sealed } = await sealedKey()
    const hash = await hashKey(key)
    const signed = vi.spyOn(crypto.subtle, 'sign')
    for (let n = 0; n < 10; n += 1)
      expect(await keys.open(sealed, SECRET)).toMatchObject({ tenant, hash })
    expect(signed).toHaveBeenCalledTimes(1)
    wait(1_000)
    await keys.open(sealed, SECRET)
    expect(signed).toHaveBeenCalledTimes(2)
  })

  it('is never one with a wrong mark, and such keys push none out', async () => {
    const { keys } = create()
    const { sealed } = await sealedKey()
    await keys.open(sealed, SECRET)
    const signed = vi.spyOn(crypto.subtle, 'sign')
    for (let n = 0; n < 10; n += 1) {
      const guess = `${newApiKey(tenant, randomBytes)}${'0'.repeat(16)}`
      expect(await keys.open(guess, SECRET)).toBeUndefined()
    }
    signed.mockClear()
    expect(await keys.open(sealed, SECRET)).toBeDefined()
    expect(signed).not.toHaveBeenCalled()
  })
})
