/** Draws nodes in proportion to their speed. */
import type { SimulatedNode } from './world.ts'

export class Wheel {
  readonly #nodes = new Set<SimulatedNode>()
  #places: SimulatedNode[] = []
  #isStale = false

  add(node: SimulatedNode): void {
    this.#nodes.add(node)
    this.#isStale = true
  }

  remove(node: SimulatedNode): void {
    this.#nodes.delete(node)
    this.#isStale = true
  }

  draw(random: () => number): SimulatedNode | undefined {
    if (this.#isStale) {
      this.#places = [...this.#nodes].flatMap((node) => Array<SimulatedNode>(node.speed).fill(node))
      this.#isStale = false
    }
    return this.#places[Math.floor(random() * this.#places.length)]
  }
}
