/** Prepares a local chain for settlement: contracts, a funded consumer, a poster, hub keys. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  createPublicClient,
  createWalletClient,
  defineChain,
  erc20Abi,
  http,
  parseAbi,
  parseEther,
  type Abi,
  type Hex,
} from 'viem'
import { generatePrivateKey, privateKeyToAccount, type PrivateKeyAccount } from 'viem/accounts'
import { z } from 'zod'
import { Address, type Bytes32 } from '#shared/base/ids.ts'
import { SETTLEMENT_ABI } from '#shared/receipt/settlement-abi.ts'
import type { PublicKey } from '#shared/proof/signature.ts'
import { digestSources, readArtifact, type ContractName } from '#scripts/base/forge.ts'

export { startAnvil, type Chain } from './anvil.ts'

/** Key of account 0 of anvil's published test mnemonic, known to everybody. It owns the contracts of local chains only. */
export const PUBLISHED_OWNER_KEY: Hex =
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80'
const GAS_MONEY = parseEther('10')
const MINT_ABI = parseAbi(['function mint(address to, uint256 amount)'])

const DeploymentFile = z.strictObject({
  chainId: z.int().min(1),
  settlement: Address,
  testUsd: Address,
  /** Digest of the contracts' sources. */
  sources: z.string().default(''),
})
/** Addresses of the contracts on one chain. */
export type Deployment = Omit<z.infer<typeof DeploymentFile>, 'sources'>

export interface ChainAccess {
  readonly rpc: string
  /** Keeps the addresses and the generated keys. */
  readonly dir: string
}

export interface LocalAccount {
  readonly address: Address
  readonly privateKey: Hex
}

/**
 * Deploys Settlement and TestUsd, or finds those that were deployed on this chain before.
 * @throws when they were built from other sources: the state of chain and Ledger belongs to them
 */
export async function deploySettlement(access: ChainAccess): Promise<Deployment> {
  const { reader } = connect(access.rpc)
  const chainId = await reader.getChainId()
  const file = join(access.dir, 'contracts.json')
  const known = await readDeployment(file)
  const sources = await digestSources()
  if (known?.chainId === chainId && (await hasCode(access.rpc, known))) {
    if (known.sources === sources) return known
    throw new Error(
      `The contracts have changed since ${access.dir} was made. Delete the instance's state and start again.`,
    )
  }
  const owner = privateKeyToAccount(PUBLISHED_OWNER_KEY)
  const testUsd = await deploy(access.rpc, 'TestUsd', [])
  const settlement = await deploy(access.rpc, 'Settlement', [testUsd, owner.address])
  const deployment = { chainId, settlement, testUsd }
  await mkdir(access.dir, { recursive: true })
  await writeFile(file, `${JSON.stringify({ ...deployment, sources }, null, 2)}\n`)
  return deployment
}

/** Makes or finds a poster key, funds its gas from the published account and registers it as poster. */
export async function newPoster(
  access: ChainAccess,
  deployment: Deployment,
): Promise<LocalAccount> {
  const poster = await keptAccount(access, 'poster')
  await giveGas(access.rpc, poster.address)
  await asOwner(access.rpc, deployment, 'setPoster', [poster.address, true])
  return poster
}

/** Registers a hub's public key: the contract accepts signatures of registered hubs only. */
export async function registerHubKey(
  access: Pick<ChainAccess, 'rpc'>,
  deployment: Deployment,
  key: PublicKey,
): Promise<void> {
  const { reader } = connect(access.rpc)
  const known = await reader.readContract({
    address: deployment.settlement,
    abi: SETTLEMENT_ABI,
    functionName: 'isHubKey',
    args: [key.x, key.y],
  })
  if (!known) await asOwner(access.rpc, deployment, 'setHubKey', [key.x, key.y, true])
}

export interface FundOptions {
  /** The deposit is raised to this balance. */
  readonly balanceMicroUsd: bigint
  readonly batchLimitMicroUsd: bigint
  /** Name of the key file: `consumer-NAME.key`. @default demo */
  readonly name?: string
}

/** Makes or finds a consumer with this batch limit and at least this deposit. */
export async function fundConsumer(
  access: ChainAccess,
  deployment: Deployment,
  options: FundOptions,
): Promise<LocalAccount> {
  const consumer = await keptAccount(access, `consumer-${options.name ?? 'demo'}`)
  const { reader } = connect(access.rpc)
  const at = { address: deployment.settlement, abi: SETTLEMENT_ABI } as const
  const args = [consumer.address] as const
  const [balance, limit] = await reader.readContract({ ...at, functionName: 'account', args })
  if (balance < options.balanceMicroUsd) {
    await depositFor(access, deployment, {
      consumer: consumer.address,
      amountMicroUsd: options.balanceMicroUsd - balance,
    })
  }
  if (limit !== options.batchLimitMicroUsd) {
    await giveGas(access.rpc, consumer.address)
    await send(access.rpc, privateKeyToAccount(consumer.privateKey), {
      ...at,
      functionName: 'setBatchLimit',
      args: [options.batchLimitMicroUsd],
    })
  }
  return consumer
}

/** Mints test dollars and deposits them for a consumer. */
export async function depositFor(
  access: Pick<ChainAccess, 'rpc'>,
  deployment: Deployment,
  deposit: { readonly consumer: Address; readonly amountMicroUsd: bigint },
): Promise<void> {
  const owner = privateKeyToAccount(PUBLISHED_OWNER_KEY)
  const { settlement, testUsd } = deployment
  const amount = deposit.amountMicroUsd
  const calls = [
    { address: testUsd, abi: MINT_ABI, functionName: 'mint', args: [owner.address, amount] },
    { address: testUsd, abi: erc20Abi, functionName: 'approve', args: [settlement, amount] },
    {
      address: settlement,
      abi: SETTLEMENT_ABI,
      functionName: 'deposit',
      args: [deposit.consumer, amount],
    },
  ]
  for (const call of calls) await send(access.rpc, owner, call)
}

export function connect(rpc: string) {
  const transport = http(rpc, { timeout: 10_000, retryCount: 2 })
  return { transport, reader: createPublicClient({ transport, pollingInterval: 50 }) }
}

export interface ContractCall {
  readonly address: Address
  readonly abi: Abi | readonly unknown[]
  readonly functionName: string
  readonly args: readonly unknown[]
}

/** Sends a contract call and waits until it is mined. @throws with the contract's error when it reverts */
export async function send(
  rpc: string,
  account: PrivateKeyAccount,
  call: ContractCall,
): Promise<Bytes32> {
  const { reader, wallet } = await openWallet(rpc, account)
  const { request } = await reader.simulateContract({ account, ...call } as Parameters<
    typeof reader.simulateContract
  >[0])
  const hash = await wallet.writeContract(request as Parameters<typeof wallet.writeContract>[0])
  const { status } = await reader.waitForTransactionReceipt({ hash, timeout: 30_000 })
  if (status !== 'success') throw new Error(`${call.functionName} reverted in ${hash}`)
  return hash
}

function asOwner(
  rpc: string,
  deployment: Deployment,
  functionName: string,
  args: readonly unknown[],
): Promise<Bytes32> {
  const call = { address: deployment.settlement, abi: SETTLEMENT_ABI, functionName, args }
  return send(rpc, privateKeyToAccount(PUBLISHED_OWNER_KEY), call)
}

async function deploy(rpc: string, name: ContractName, args: readonly unknown[]): Promise<Address> {
  const { reader, wallet } = await openWallet(rpc, privateKeyToAccount(PUBLISHED_OWNER_KEY))
  const { abi, bytecode } = await readArtifact(name)
  const hash = await wallet.deployContract({ abi, bytecode, args })
  const { contractAddress } = await reader.waitForTransactionReceipt({ hash, timeout: 30_000 })
  if (!contractAddress) throw new Error(`${name} was not deployed by ${hash}`)
  return contractAddress
}

async function giveGas(rpc: string, to: Address): Promise<void> {
  const { reader, wallet } = await openWallet(rpc, privateKeyToAccount(PUBLISHED_OWNER_KEY))
  if ((await reader.getBalance({ address: to })) >= GAS_MONEY / 2n) return
  const hash = await wallet.sendTransaction({ to, value: GAS_MONEY })
  await reader.waitForTransactionReceipt({ hash, timeout: 30_000 })
}

async function openWallet(rpc: string, account: PrivateKeyAccount) {
  const { transport, reader } = connect(rpc)
  const id = await reader.getChainId()
  const chain = defineChain({
    id,
    name: `chain ${id}`,
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [rpc] } },
  })
  return { reader, wallet: createWalletClient({ account, transport, chain }) }
}

async function hasCode(rpc: string, deployment: Deployment): Promise<boolean> {
  const { reader } = connect(rpc)
  const codes = await Promise.all(
    [deployment.settlement, deployment.testUsd].map((address) => reader.getCode({ address })),
  )
  return codes.every((code) => code !== undefined)
}

async function keptAccount(access: ChainAccess, name: string): Promise<LocalAccount> {
  const file = join(access.dir, `${name}.key`)
  const kept = await readFile(file, 'utf8').catch(() => undefined)
  const privateKey = (kept?.trim() ?? generatePrivateKey()) as Hex
  if (kept === undefined) {
    await mkdir(access.dir, { recursive: true })
    await writeFile(file, `${privateKey}\n`, { mode: 0o600, flag: 'wx' })
  }
  return { address: privateKeyToAccount(privateKey).address, privateKey }
}

async function readDeployment(file: string): Promise<z.infer<typeof DeploymentFile> | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  return text === undefined ? undefined : DeploymentFile.safeParse(JSON.parse(text)).data
}
