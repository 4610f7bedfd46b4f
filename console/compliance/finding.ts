/** One thing that was compared in a proof, and what a proof is compared with. */
import type { Domain } from '#shared/eip712.ts'
import type { Bytes32 } from '#shared/ids.ts'
import type { PublicKey } from '#shared/signature.ts'
import type { ChainReader } from './chain.ts'

/** What the page takes for true before it looks at a bundle. */
export interface Trust {
  readonly domain: Domain
  /** Null where the deployment shows none. */
  readonly logKey: Bytes32 | null
  /** Of the hubs that answer now; used where the chain cannot be read. */
  readonly hubKeys: readonly PublicKey[]
  /** Null with the reason in `chainFault`. */
  readonly chain: ChainReader | null
  readonly chainFault: string
}

/** `simulated`: made up for development, proves nothing. `open`: cannot be checked here, or not yet. */
export type Result = 'passed' | 'failed' | 'simulated' | 'open'

export interface Finding {
  readonly result: Result
  readonly text: string
}

export function finding(isOk: boolean, text: string): Finding {
  return { result: isOk ? 'passed' : 'failed', text }
}
