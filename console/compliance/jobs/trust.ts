/** Reads what the page trusts when it checks a bundle: keys from the deployment, and the chain. */
import { toAppError } from '#shared/base/errors.ts'
import {
  createChainView,
  rememberChain,
  type NoChain,
  type UnreadChain,
} from '#shared/verify/chain-view.ts'
import type { BundleTrust } from '#shared/verify/trust.ts'
import { pageTrust } from './page-trust.ts'
import { LogKeyReply } from '#shared/api/audit.ts'
import { NetworkReply, PublicChain } from '#shared/api/network.ts'
import type { ViewContext } from '../page/view.ts'

export async function readTrust({ session, signal }: ViewContext): Promise<BundleTrust> {
  const { api } = session
  const [network, logKey, chain] = await Promise.all([
    api.get('/v1/network', NetworkReply, signal),
    orNull(api.get('/v1/audit/key', LogKeyReply, signal)),
    orNull(api.get('/v1/chain', PublicChain, signal)),
  ])
  const logKeys = logKey === null ? null : [logKey.publicKey]
  const liveHubKeys = network.hubs.map(({ hubKey }) => hubKey)
  if (chain === null) return pageTrust({ chain: { domain: null, hubKeys: liveHubKeys }, logKeys })
  return pageTrust({ chain: await openChain(chain, liveHubKeys), logKeys })
}

async function openChain(
  { chainId, settlement, rpc }: PublicChain,
  liveHubKeys: NoChain['hubKeys'],
): Promise<BundleTrust['chain']> {
  const domain = { chainId, verifyingContract: settlement }
  const unread = (reason: string): UnreadChain => ({ domain, liveHubKeys, unread: reason })
  if (rpc === null)
    return unread(
      'this deployment names no public chain endpoint (PUBLIC_RPC); npm run verify can check it with --rpc',
    )
  try {
    const view = await createChainView(rpc, settlement)
    if (view.domain.chainId === chainId) return rememberChain(view)
    return unread(`the endpoint ${rpc} serves chain ${view.domain.chainId}, not ${chainId}`)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return unread(`the chain could not be read at ${rpc}: ${reason}`)
  }
}

/** Gives null for what this deployment does not have. @throws every other fault */
async function orNull<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked
  } catch (error) {
    if (toAppError(error).code === 'not_found') return null
    throw error
  }
}
