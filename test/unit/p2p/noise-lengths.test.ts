/** Noise's stream reads the lengths of messages with one error for all ends of messages. */
import { LengthPrefixedDecoder } from '@libp2p/utils'
import type { ConnectionEncrypter } from '@libp2p/interface'
import { describe, expect, it } from 'vitest'
import { withQuickLengths } from '#p2p/peers/noise-lengths.ts'

/** An encrypter whose stream has a decoder like noise's, with a length decoder that counts its errors. */
async function createDecoder() {
  const errors: Error[] = []
  const lengthDecoder = () => {
    errors.push(new RangeError('too short'))
    throw errors.at(-1) ?? new Error()
  }
  const decoder = new LengthPrefixedDecoder({ lengthDecoder, encodingLength: () => 2 })
  const secure = () => Promise.resolve({ connection: { decoder } })
  const encrypter = { secureInbound: secure, secureOutbound: secure }
  const quick = withQuickLengths(encrypter as unknown as ConnectionEncrypter)
  await quick.secureInbound(undefined as never)
  return { decoder, errors }
}

const message = (text: string) => Uint8Array.of(0, text.length, ...new TextEncoder().encode(text))
const texts = (found: Iterable<{ subarray(): Uint8Array }>) =>
  [...found].map((bytes) => new TextDecoder().decode(bytes.subarray()))

describe('the lengths of noise', () => {
  it('are read however the messages are cut', async () => {
    const { decoder, errors } = await createDecoder()
    const whole = [...message('one'), ...message('two'), ...message('three')]
    for (let size = 1; size <= whole.length; size += 1) {
      const found: string[] = []
      for (let at = 0; at < whole.length; at += size)
        found.push(...texts(decoder.decode(Uint8Array.from(whole.slice(at, at + size)))))
      expect(found).toEqual(['one', 'two', 'three'])
    }
    expect(errors).toEqual([])
  })

  it('leave a stream without such a decoder alone', async () => {
    const connection = {}
    const secure = () => Promise.resolve({ connection })
    const encrypter = { secureInbound: secure, secureOutbound: secure }
    const quick = withQuickLengths(encrypter as unknown as ConnectionEncrypter)
    expect((await quick.secureOutbound(undefined as never)).connection).toEqual({})
  })
})
