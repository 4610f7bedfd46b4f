/** `node scripts/commands/claim.ts KEY_FILE ADDRESS`: pays out what a local node's receipt key has earned. */
import { EarningsReply } from '#shared/api/network.ts'
import { AppError } from '#shared/base/errors.ts'
import { Address } from '#shared/base/ids.ts'
import { formatUsd } from '#shared/receipt/money.ts'
import { readCommandLine, runCommand, text } from '#scripts/base/arguments.ts'
import { PUBLISHED_OWNER_KEY } from '#scripts/stack/chain.ts'
import { claimEarnings } from '#scripts/stack/claim-earnings.ts'
import { readDevInstance } from '#scripts/stack/dev-instance.ts'
import { readSigner } from '#scripts/stack/read-signer.ts'

const USAGE = `node scripts/commands/claim.ts KEY_FILE ADDRESS [--url URL]
  KEY_FILE  the node's receipt key, a private JWK
  ADDRESS   where the money goes; the receipt key signs it`

const { values, positionals } = readCommandLine({ url: text() }, { words: 'any' })
await runCommand(main)

async function main(): Promise<number> {
  const [keyFile, to] = positionals
  const instance = await readDevInstance()
  if (keyFile === undefined || to === undefined || instance === undefined) {
    const what = instance === undefined ? 'No instance has run here.' : USAGE
    throw new AppError('invalid_request', what)
  }
  const signer = await readSigner(keyFile)
  const { x, y } = signer.publicKey
  const url = new URL(`/v1/earnings?x=${x}&y=${y}`, values.url ?? instance.url)
  const response = await fetch(url, { signal: AbortSignal.timeout(30_000) })
  if (!response.ok) throw new Error(`${url.href} answered ${response.status}`)
  const { claimable } = EarningsReply.parse(await response.json())
  if (claimable === null) {
    console.log('Nothing has been settled for this key yet.')
    return 1
  }
  const { rpc, settlement } = instance.chain
  const { transactionHash, paidMicroUsd } = await claimEarnings({
    rpc,
    settlement,
    signer,
    claimable,
    to: Address.parse(to),
    senderKey: PUBLISHED_OWNER_KEY,
  })
  console.log(`${formatUsd(paidMicroUsd)} paid to ${to} in ${transactionHash}`)
  return 0
}
