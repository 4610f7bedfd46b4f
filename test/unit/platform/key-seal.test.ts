import { describe, expect, it } from 'vitest'
import { sealKey, unsealKey } from '#worker/platform/key-seal.ts'

const KEY = `lit_acme_${'0123456789abcdef'.repeat(2)}`

describe('[A2] the mark of an API key', () => {
  it('opens its own key', async () => {
    const sealed = await sealKey(KEY, 'secret')
    expect(sealed).toMatch(/^lit_acme_[0-9a-f]{48}$/)
    expect(await unsealKey(sealed, 'secret')).toBe(KEY)
  })

  it('opens nothing after a change of the key, the mark or the secret', async () => {
    const sealed = await sealKey(KEY, 'secret')
    for (let at = 4; at < sealed.length; at += 1) {
      const other = sealed[at] === '0' ? '1' : '0'
      expect(
        await unsealKey(`${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`, 'secret'),
      ).toBeUndefined()
    }
    expect(await unsealKey(sealed, 'another secret')).toBeUndefined()
    expect(await unsealKey(KEY, 'secret')).toBeUndefined()
  })
})
