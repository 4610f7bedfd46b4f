/** Compares secrets in constant time. */
import { digestBytes } from '#shared/receipt/receipt.ts'

/** Compares texts of equal length, such as digests. */
export function equalText(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i += 1) difference |= a.charCodeAt(i) ^ b.charCodeAt(i)
  return difference === 0
}

/** Compares secrets of any length by their digests. */
export async function equalSecret(given: string, expected: string): Promise<boolean> {
  const encoder = new TextEncoder()
  const [a, b] = await Promise.all(
    [given, expected].map((text) => digestBytes(encoder.encode(text))),
  )
  return a !== undefined && b !== undefined && equalText(a, b)
}
