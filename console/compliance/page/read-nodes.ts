/** Reads the connected nodes, hub by hub. */
import { NetworkNodesReply, type NetworkNode } from '#shared/api/network.ts'
import type { Api } from './api.ts'

/** Hubs whose nodes a page shows. */
const HUBS_SHOWN = 16

export async function readNodes(
  api: Pick<Api, 'get'>,
  signal: AbortSignal,
): Promise<NetworkNode[]> {
  const nodes: NetworkNode[] = []
  let path = '/v1/network/nodes'
  for (let hubs = 0; hubs < HUBS_SHOWN; hubs += 1) {
    const page = await api.get(path, NetworkNodesReply, signal)
    nodes.push(...page.nodes)
    if (page.next === null) break
    path = `/v1/network/nodes?hub=${encodeURIComponent(page.next)}`
  }
  return nodes
}
