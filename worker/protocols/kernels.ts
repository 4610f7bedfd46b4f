/** Calls of hubs to the kernel register. Rules: docs/design/kernels-untrusted.md. */
import type { Bytes32 } from '#shared/base/ids.ts'

export const KERNEL_BANS = 10_000
/** Duration of a ban that vouched nodes reported. */
export const KERNEL_BAN_MS = 7 * 86_400_000
export const KERNEL_REPORTS = 50_000
export const KERNEL_REPORT_MS = 86_400_000

/** One reporter's report on one kernel. */
export interface KernelReport {
  readonly digest: Bytes32
  /** See {@link reporterOf}: all nodes behind one network, or of one customer, are one reporter. */
  readonly reporter: string
  /** True if a customer vouches for the node. */
  readonly isVouched: boolean
  /** True if the kernel hung the device; otherwise it completed. */
  readonly isHung: boolean
  /** Digest of the tenant that sent the kernel. */
  readonly author: string
}

export interface KernelBan {
  readonly digest: Bytes32
  /** True if the ban also holds for vouched nodes; otherwise it holds for public ones. */
  readonly isForAll: boolean
  readonly untilMs: number
}

/** A ban with its author, which stays in the register's jurisdiction. */
export interface AuthoredBan extends KernelBan {
  readonly author: string
}

export interface KernelBans<B extends KernelBan> {
  /** The next call's `since`, which then returns only changes. */
  readonly sequence: number
  readonly bans: readonly B[]
}

/** One register for each jurisdiction and all its hubs. */
export interface KernelRegisterApi {
  /** Takes reports from a hub of this jurisdiction. Repeating one changes nothing. */
  report(reports: readonly KernelReport[], since: number): Promise<KernelBans<AuthoredBan>>
  /** For hubs of other jurisdictions: bans without authors. */
  bans(since: number): Promise<KernelBans<KernelBan>>
}
