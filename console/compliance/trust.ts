/** What the page holds true before it checks a bundle: asked of the deployment, and of the chain itself. */
import { toAppError } from '#shared/errors.ts'
import { createChainReader, PublicChain, type ChainReader } from './chain.ts'
import type { Trust } from './finding.ts'
import { LogKey, Network } from './replies.ts'
import type { ViewContext } from './view.ts'

/** @returns the reason where the deployment has no chain to pin anything to */
export async function readTrust({
  session,
  signal,
}: ViewContext): Promise<Trust | { readonly fault: string }> {
  const { api } = session
  const [network, logKey, chain] = await Promise.all([
    api.get('/v1/network', Network, signal),
    orNull(api.get('/v1/audit/key', LogKey, signal)),
    orNull(api.get('/v1/chain', PublicChain, signal)),
  ])
  if (chain === null)
    return { fault: 'This deployment settles on no chain, so it has no keys to check receipts by.' }
  const domain = { chainId: chain.chainId, verifyingContract: chain.settlement }
  const { reader, fault } = await openChain(chain)
  return {
    domain,
    logKey: logKey?.publicKey ?? null,
    hubKeys: network.hubs.map(({ hubKey }) => hubKey),
    chain: reader,
    chainFault: fault,
  }
}

async function openChain(
  chain: PublicChain,
): Promise<{ readonly reader: ChainReader | null; readonly fault: string }> {
  if (chain.rpc === null) {
    const fault =
      'this deployment names no endpoint that this page may read the chain at (PUBLIC_RPC); npm run verify checks it with --rpc'
    return { reader: null, fault }
  }
  try {
    const domain = { chainId: chain.chainId, verifyingContract: chain.settlement }
    return { reader: await createChainReader(chain.rpc, domain), fault: '' }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return { reader: null, fault: `the chain could not be read at ${chain.rpc}: ${reason}` }
  }
}

/** Null for what this deployment does not have; every other fault stays one. */
async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (toAppError(error).code === 'not_found') return null
    throw error
  }
}
