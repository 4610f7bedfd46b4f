/** Money as whole micro-US-dollars in a bigint; a micro-dollar is one unit of a six-decimal stablecoin. */
import { z } from 'zod'

/** Micro-dollars as a decimal string: how bigints travel. */
export const MicroUsd = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,18})$/, 'a whole number of micro-dollars as a decimal string')
export type MicroUsd = z.infer<typeof MicroUsd>

/** `1234567n` → `$1.234567`. */
export function formatUsd(microUsd: bigint): string {
  const sign = microUsd < 0n ? '-' : ''
  const whole = microUsd < 0n ? -microUsd : microUsd
  return `${sign}$${whole / 1_000_000n}.${(whole % 1_000_000n).toString().padStart(6, '0')}`
}
