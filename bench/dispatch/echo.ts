/** The protocol between both ends of the dispatch bench. */
import { z } from 'zod'
import { NodeId } from '#shared/base/ids.ts'

/** Sends each frame back: the held stream without the work protocol. */
export const ECHO_PROTOCOL = '/littoral/bench/echo/1.0.0'
/** The work protocol with a node that checks and signs nothing. */
export const UNSIGNED_PROTOCOL = '/littoral/bench/unsigned/1.0.0'

/** Number of nodes, of sockets and of streams; a hub gives each node at most eight jobs at once. */
export const LINKS = 4

export const NodeEndOptions = z.strictObject({
  hub: z.string(),
  socketUrl: z.string(),
  dir: z.string(),
  /** Null where there is no NATS. */
  natsUrl: z.string().nullable(),
})
export type NodeEndOptions = z.infer<typeof NodeEndOptions>

/** The node end's first line. */
export const NodeEndReady = z.strictObject({
  /** Complete nodes. */
  nodes: z.array(NodeId),
  /** Peers that serve the two protocols above. */
  peers: z.array(NodeId),
})
export type NodeEndReady = z.infer<typeof NodeEndReady>
