/** Collects bytes in one growing buffer, so that many tiny pieces cost no more than their sum. */

export type ByteSink = ReturnType<typeof createByteSink>

export function createByteSink() {
  let buffer = new Uint8Array(0)
  let sizeBytes = 0
  return {
    push(piece: Uint8Array): void {
      const wanted = sizeBytes + piece.length
      if (wanted > buffer.length) {
        const grown = new Uint8Array(Math.max(wanted, buffer.length * 2))
        grown.set(buffer.subarray(0, sizeBytes))
        buffer = grown
      }
      buffer.set(piece, sizeBytes)
      sizeBytes = wanted
    },
    bytes: (): Uint8Array => buffer.subarray(0, sizeBytes),
  }
}
