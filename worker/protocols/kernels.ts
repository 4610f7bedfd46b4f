/** What hubs tell and ask the register of kernels that hang devices. Rules: docs/design/kernels-untrusted.md. */
import type { Bytes32 } from '#shared/base/ids.ts'

/** What one reporter says of one kernel. */
export interface KernelReport {
  readonly digest: Bytes32
  /** Who speaks, as {@link reporterOf} names it: all nodes behind one network, or of one customer, are one reporter. */
  readonly reporter: string
  /** Whether a customer has vouched for the node. */
  readonly isVouched: boolean
  /** That it hung the device, or else that it ran to its end. */
  readonly isHung: boolean
  /** Digest of the tenant whose kernel it was. */
  readonly author: string
}

export interface KernelBan {
  readonly digest: Bytes32
  /** Whether nodes that a customer vouches for are kept from it too, or only public ones. */
  readonly isForAll: boolean
  readonly untilMs: number
}

/** With whose it is, which stays in the register's jurisdiction. */
export interface AuthoredBan extends KernelBan {
  readonly author: string
}

export interface KernelBans<B extends KernelBan> {
  /** To be given as `since` the next time: then only what has changed is told. */
  readonly sequence: number
  readonly bans: readonly B[]
}

/** One in each jurisdiction, for all hubs that stand there. */
export interface KernelRegisterApi {
  /** Takes the reports of a hub of this jurisdiction. Telling one again changes nothing. */
  report(reports: readonly KernelReport[], since: number): Promise<KernelBans<AuthoredBan>>
  /** For hubs of other jurisdictions: bare digests. */
  bans(since: number): Promise<KernelBans<KernelBan>>
}
