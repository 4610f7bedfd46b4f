/** Verifies one file, and prints the time, the CPU time and the peak memory of this process. */
import { runVerifier } from '#scripts/verify/run.ts'

const startedMs = performance.now()
let lines = 0
const code = await runVerifier(process.argv.slice(2), {
  instance: undefined,
  print: () => (lines += 1),
})
const seconds = (performance.now() - startedMs) / 1_000
const { user, system } = process.cpuUsage()
const cpuSeconds = (user + system) / 1_000_000
const peakMiB = process.resourceUsage().maxRSS / 1_024
console.log(JSON.stringify({ code, lines, seconds, cpuSeconds, peakMiB }))
