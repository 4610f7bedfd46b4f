/** Holds a short answer until its receipt is stored. Both then leave as one message: one cipher call and one write. */

/** Largest answer that waits for its receipt, so that both are one message. */
export const HELD_OUTPUT_BYTES = 16 * 1024

type Emit = (bytes: Uint8Array) => Promise<void>

/** @param isStream whether somebody reads the answer as it is made; then nothing is held */
export function holdOutput(emit: Emit, isStream: boolean) {
  const held: Uint8Array[] = []
  let heldBytes = 0
  let isHolding = !isStream
  const release = async () => {
    isHolding = false
    for (const bytes of held.splice(0)) await emit(bytes)
  }
  return {
    /** Sends what is held. After that everything passes at once. */
    release,
    emit: async (bytes: Uint8Array) => {
      heldBytes += bytes.length
      if (isHolding && heldBytes <= HELD_OUTPUT_BYTES) {
        // Copied: the engine may reuse its buffer.
        held.push(bytes.slice())
        return
      }
      await release()
      await emit(bytes)
    },
  }
}
