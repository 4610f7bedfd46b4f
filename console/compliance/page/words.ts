/** Writes times, hashes and counts for people. */

const DATE_TIME = new Intl.DateTimeFormat('en-GB', {
  dateStyle: 'medium',
  timeStyle: 'medium',
  timeZone: 'UTC',
})

/** Gives `22 Nov 2026, 17:17:09 UTC`; all readers see the same time zone. */
export function whenUtc(atMs: number): string {
  return `${DATE_TIME.format(atMs)} UTC`
}

/** Gives `0x1234…cdef`. */
export function shortHash(hash: string): string {
  return hash.length <= 20 ? hash : `${hash.slice(0, 10)}…${hash.slice(-6)}`
}

/** Gives `1 node` or `2 nodes`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? singular : plural}`
}

/** Gives `in 3 h` or `2 d ago`. */
export function fromNow(atMs: number, nowMs: number): string {
  const seconds = Math.round(Math.abs(atMs - nowMs) / 1000)
  const [amount, unit] =
    seconds < 120
      ? [seconds, 's']
      : seconds < 7200
        ? [Math.round(seconds / 60), 'min']
        : seconds < 172_800
          ? [Math.round(seconds / 3600), 'h']
          : [Math.round(seconds / 86_400), 'd']
  return atMs > nowMs ? `in ${amount} ${unit}` : `${amount} ${unit} ago`
}
