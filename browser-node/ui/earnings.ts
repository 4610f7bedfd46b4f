/** Asks the operator what the receipt key has earned: `GET /v1/earnings`. */
import type { z } from 'zod'
import { EarningsReply } from '#shared/api/network.ts'
import { LIMITS } from '#shared/base/limits.ts'
import type { PublicKey } from '#shared/proof/signature.ts'

const Earnings = EarningsReply.pick({ pendingMicroUsd: true, settledMicroUsd: true })
export type Earnings = z.infer<typeof Earnings>

const POLL_EVERY_MS = 15_000

/** Gives undefined when the operator does not answer. */
async function readEarnings(origin: string, key: PublicKey): Promise<Earnings | undefined> {
  try {
    const query = new URLSearchParams({ x: key.x, y: key.y })
    const signal = AbortSignal.timeout(LIMITS.openTimeoutMs)
    const response = await fetch(`${origin}/v1/earnings?${query.toString()}`, { signal })
    return response.ok ? Earnings.safeParse(await response.json()).data : undefined
  } catch {
    return undefined
  }
}

export interface EarningsWatch {
  /** Reads the key that earns, once this browser has one. */
  readonly readKey: () => Promise<PublicKey | undefined>
  readonly onEarnings: (earnings: Earnings | undefined) => void
}

/**
 * Asks at once, every 15 s while the page is visible, and when it becomes visible again.
 * @returns a function that asks immediately
 */
export function watchEarnings(origin: string, watch: EarningsWatch): () => void {
  let isAsking = false
  const ask = async () => {
    if (isAsking || document.visibilityState === 'hidden') return
    isAsking = true
    try {
      const key = await watch.readKey()
      if (key !== undefined) watch.onEarnings(await readEarnings(origin, key))
    } finally {
      isAsking = false
    }
  }
  setInterval(() => void ask(), POLL_EVERY_MS)
  document.addEventListener('visibilitychange', () => void ask())
  void ask()
  return () => void ask()
}
