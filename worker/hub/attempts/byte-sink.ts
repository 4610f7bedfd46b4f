/** Collects bytes in one growing buffer, so that many tiny pieces cost no more than their sum. */

export interface ByteSink {
  push(piece: Uint8Array): void
  bytes(): Uint8Array
}

export function createByteSink(): ByteSink {
  let buffer = new Uint8Array(0)
  let sizeBytes = 0
  return {
    push(piece) {
      const wanted = sizeBytes + piece.length
      if (wanted > buffer.length) {
        const grown = new Uint8Array(Math.max(wanted, buffer.length * 2))
        grown.set(buffer.subarray(0, sizeBytes))
        buffer = grown
      }
      buffer.set(piece, sizeBytes)
      sizeBytes = wanted
    },
    bytes: () => buffer.subarray(0, sizeBytes),
  }
}
