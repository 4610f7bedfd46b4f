/** A node and one kind of work: its standing, its held pay, its pace. Rows of it are what is stored. */
import type { Party } from './checker.ts'
import { HeldPay, type Lot } from './held-pay.ts'
import { Pace } from './kind-state.ts'
import type { Standing } from './standing.ts'

export interface NodeRow extends Party {
  readonly kind: string
  readonly standing: Standing
  readonly lots: readonly Lot[]
  /** Convictions of its reporter that its standing already counts. */
  readonly siblings: number
}

export class CheckedNode implements Party {
  readonly key: string
  readonly reporter: string
  readonly network: string
  readonly kind: string
  readonly held: HeldPay
  readonly pace = new Pace()
  standing: Standing
  siblings: number
  /** When a newcomer's next check is due. */
  entryDueMs: number

  constructor({ key, reporter, network, kind, standing, lots, siblings }: NodeRow, nowMs: number) {
    this.key = key
    this.reporter = reporter
    this.network = network
    this.kind = kind
    this.standing = standing
    this.held = new HeldPay(lots)
    this.siblings = siblings
    this.entryDueMs = nowMs
  }

  row(): NodeRow {
    const { key, reporter, network, kind, standing, siblings } = this
    return { key, reporter, network, kind, standing, lots: this.held.lots(), siblings }
  }
}
