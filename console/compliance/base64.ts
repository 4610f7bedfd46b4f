/** Base64 in its one spelling. */

/** Undefined for any other: an edit of the spare bits must not pass unseen. */
export function base64ToBytes(text: string): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
    return btoa(String.fromCharCode(...bytes)) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
