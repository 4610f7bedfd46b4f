/** Turns bytes of tokens into text that may be shown: no half characters, and no possible stop sequence. */

export interface TextOut {
  /** The text that is now certain. Nothing follows a stop sequence. */
  push(bytes: Uint8Array): string
  readonly isStopped: boolean
  /** What was held back when the text ends without a stop sequence. Half a character is dropped. */
  finish(): string
}

export function createTextOut(stop: readonly string[]): TextOut {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  let held = ''
  let isStopped = false
  return {
    push(bytes) {
      if (isStopped) return ''
      held += decoder.decode(bytes, { stream: true })
      const found = firstStop(held, stop)
      isStopped = found !== -1
      const safe = isStopped ? found : held.length - possibleStop(held, stop)
      const text = held.slice(0, safe)
      held = isStopped ? '' : held.slice(safe)
      return text
    },
    get isStopped() {
      return isStopped
    },
    finish() {
      const text = held
      held = ''
      return text
    },
  }
}

function firstStop(text: string, stop: readonly string[]): number {
  return stop.reduce((first, sequence) => {
    const at = text.indexOf(sequence)
    return at !== -1 && (first === -1 || at < first) ? at : first
  }, -1)
}

/** Length of the longest end of `text` that begins a stop sequence. */
function possibleStop(text: string, stop: readonly string[]): number {
  let longest = 0
  for (const sequence of stop)
    for (let size = Math.min(sequence.length - 1, text.length); size > longest; size--)
      if (sequence.startsWith(text.slice(text.length - size))) longest = size
  return longest
}
