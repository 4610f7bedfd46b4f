/** `node scripts/commands/claim.ts KEY_FILE ADDRESS`: pays out what a local node's receipt key has earned so far. */
import { readFile } from 'node:fs/promises'
import { EarningsReply } from '#shared/api/network.ts'
import { AppError } from '#shared/base/errors.ts'
import { fileFault } from '#shared/base/file-fault.ts'
import { Address } from '#shared/base/ids.ts'
import { formatUsd } from '#shared/receipt/money.ts'
import { createSigner, importSigningKey } from '#shared/base/signature.ts'
import { readArguments, runCommand } from '#scripts/base/arguments.ts'
import { PUBLISHED_OWNER_KEY } from '#scripts/stack/chain.ts'
import { claimEarnings } from '#scripts/stack/claim-earnings.ts'
import { readDevInstance } from '#scripts/stack/dev-instance.ts'

const USAGE = `node scripts/commands/claim.ts KEY_FILE ADDRESS [--url URL]
  KEY_FILE  the node's receipt key, a private JWK
  ADDRESS   where the money goes; the receipt key signs it`

await runCommand(main)

async function main(): Promise<number> {
  const { values, positionals } = readArguments({
    options: { url: { type: 'string' } },
    allowPositionals: true,
  })
  const [keyFile, to] = positionals
  const instance = await readDevInstance()
  if (keyFile === undefined || to === undefined || instance === undefined) {
    const what = instance === undefined ? 'No instance has run here.' : USAGE
    throw new AppError('invalid_request', what)
  }
  const signer = await createSigner(
    await importSigningKey(
      await readFile(keyFile, 'utf8').catch((cause: unknown) => {
        throw new AppError('invalid_request', `${keyFile} ${fileFault(cause)}.`, { cause })
      }),
    ),
  )
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
