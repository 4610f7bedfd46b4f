/** Follows each node's answers until they are paid or voided, by the count of its agreed checks. */
import type { SimulatedNode } from './world.ts'

interface Lot {
  readonly passed: number
  /** Pay for answers that are counted. */
  pay: number
  wrong: number
}

export interface HeldAnswer {
  readonly passed: number
  readonly price: number
  readonly isWrong: boolean
  readonly isCounted: boolean
}

export class PaidAnswers {
  readonly #lots = new Map<SimulatedNode, Lot[]>()
  wrong = 0
  /** Pay that was neither paid nor voided when the simulation ended. */
  undecided = 0

  hold(node: SimulatedNode, { passed, price, isWrong, isCounted }: HeldAnswer): void {
    if (!isCounted) return
    let lots = this.#lots.get(node)
    if (lots === undefined) this.#lots.set(node, (lots = []))
    let lot = lots.at(-1)
    if (lot?.passed !== passed) lots.push((lot = { passed, pay: 0, wrong: 0 }))
    lot.pay += price
    if (isWrong) lot.wrong += 1
  }

  release(node: SimulatedNode, passed: number): void {
    const lots = this.#lots.get(node) ?? []
    for (;;) {
      const [lot] = lots
      if (lot === undefined || lot.passed > passed) return
      lots.shift()
      node.paid += lot.pay
      this.wrong += lot.wrong
    }
  }

  void(node: SimulatedNode): void {
    this.#lots.delete(node)
  }

  /** What is left counts as paid: a node that was not found until the end is not found. */
  releaseAll(): void {
    for (const [node, lots] of this.#lots) {
      this.undecided += lots.reduce((sum, { pay }) => sum + pay, 0)
      this.release(node, Infinity)
    }
  }
}
