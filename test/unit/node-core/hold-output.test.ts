/** A short answer waits for its receipt; a long or streamed one does not. */
import { describe, expect, it } from 'vitest'
import { holdOutput, HELD_OUTPUT_BYTES } from '#node-core/hold-output.ts'

function taken(isStream: boolean) {
  const sent: number[][] = []
  const output = holdOutput((bytes) => Promise.resolve(void sent.push([...bytes])), isStream)
  return { sent, output }
}

describe('an answer on its way out of a node', () => {
  it('is held while it is short, in order and unchanged', async () => {
    const { sent, output } = taken(false)
    const buffer = new Uint8Array([1, 2])
    await output.emit(buffer)
    buffer.fill(9)
    await output.emit(new Uint8Array([3]))
    expect(sent).toEqual([])
    await output.release()
    expect(sent).toEqual([[1, 2], [3]])
  })

  it('is sent at once from the byte that passes the bound', async () => {
    const { sent, output } = taken(false)
    await output.emit(new Uint8Array([1]))
    await output.emit(new Uint8Array(HELD_OUTPUT_BYTES))
    await output.emit(new Uint8Array([2]))
    expect(sent.map(({ length }) => length)).toEqual([1, HELD_OUTPUT_BYTES, 1])
    await output.release()
    expect(sent).toHaveLength(3)
  })

  it('is never held when it is streamed', async () => {
    const { sent, output } = taken(true)
    await output.emit(new Uint8Array([7]))
    expect(sent).toEqual([[7]])
  })
})
