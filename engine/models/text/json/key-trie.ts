/** A trie of a few strings by their bytes, with the strings below each node. */

export interface KeyTrie {
  readonly root: number
  step(node: number, byte: number): number | undefined
  /** Index of the text that ends here. */
  valueAt(node: number): number | undefined
  isLeaf(node: number): boolean
  /** One bit for each text that passes through this node. */
  below(node: number): bigint
}

interface Node {
  readonly children: Map<number, number>
  value: number | undefined
  below: bigint
}

export function createKeyTrie(texts: readonly string[]): KeyTrie {
  const nodes: Node[] = [emptyNode()]
  const encoder = new TextEncoder()
  texts.forEach((text, index) => {
    let at = 0
    for (const byte of encoder.encode(text)) at = descend(nodes, at, { byte, index })
    const node = nodes[at]
    if (node !== undefined) node.value = index
  })
  return {
    root: 0,
    step: (node, byte) => nodes[node]?.children.get(byte),
    valueAt: (node) => nodes[node]?.value,
    isLeaf: (node) => nodes[node]?.children.size === 0,
    below: (node) => nodes[node]?.below ?? 0n,
  }
}

function descend(
  nodes: Node[],
  from: number,
  { byte, index }: { readonly byte: number; readonly index: number },
): number {
  let to = nodes[from]?.children.get(byte)
  if (to === undefined) {
    to = nodes.length
    nodes.push(emptyNode())
    nodes[from]?.children.set(byte, to)
  }
  const node = nodes[to]
  if (node !== undefined) node.below |= 1n << BigInt(index)
  return to
}

function emptyNode(): Node {
  return { children: new Map(), value: undefined, below: 0n }
}
