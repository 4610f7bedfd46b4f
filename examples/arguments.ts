/** Options of the examples. By default they call the instance of `npm start`, with the key in the variable KEY. */

export const ENDPOINT = {
  url: { type: 'string', default: process.env['URL'] ?? 'http://127.0.0.1:8787' },
  key: { type: 'string', default: process.env['KEY'] ?? '' },
} as const

/** A whole number of at least 1; anything else ends the example with exit code 2. */
export function readCount(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  return refuse(`--${option} ${text} is not a whole number of at least 1.`)
}

/** A number from 0 to 1; anything else ends the example with exit code 2. */
export function readShare(option: string, text: string): number {
  if (/^(0(\.\d+)?|1(\.0+)?)$/.test(text)) return Number(text)
  return refuse(`--${option} ${text} is not a number from 0 to 1.`)
}

function refuse(what: string): never {
  process.stderr.write(`${what}\n`)
  process.exit(2)
}
