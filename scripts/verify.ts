/** `npm run verify -- RECEIPT`: checks a receipt, by id or in a file, and exits 0 only when every check passed. */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { Address, Bytes32 } from '#shared/ids.ts'
import { createChainView } from '#scripts/lib/chain-view.ts'
import { readDevInstance, type DevInstance } from '#scripts/lib/dev-instance.ts'
import { formatLine, verifyReceipt } from '#scripts/lib/verify-receipt.ts'

const USAGE = `npm run verify -- RECEIPT_ID | FILE.json [options]
  --url URL             where the receipt is asked for          (default: the running instance)
  --key KEY             API key with scope audit or infer       (default: the running instance's)
  --rpc URL             JSON-RPC endpoint of the chain
  --settlement ADDRESS  the contract; take it from a source that you trust, not from the receipt
  --allow-simulated     accept a place that was made up for development
Without options, what .littoral/dev.json says of the instance of this working copy.`

const OPTIONS = {
  url: { type: 'string' },
  key: { type: 'string' },
  rpc: { type: 'string' },
  settlement: { type: 'string' },
  'allow-simulated': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const

process.exitCode = await main()

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true })
  const [target] = positionals
  if (target === undefined || values.help) {
    console.log(USAGE)
    return values.help ? 0 : 2
  }
  const instance = await readDevInstance()
  const rpc = values.rpc ?? instance?.chain.rpc
  const settlement = values.settlement ?? instance?.chain.settlement
  if (rpc === undefined || settlement === undefined) {
    console.error(
      `Which chain? No instance has run here, so give --rpc and --settlement.\n${USAGE}`,
    )
    return 2
  }
  const document = await readDocument(target, instance, values)
  const chain = await createChainView(rpc, Address.parse(settlement))
  const isDevelopment = values.rpc === undefined && instance?.simulatedPlaces === true
  const allowSimulated = values['allow-simulated'] || isDevelopment
  const { ok, lines } = await verifyReceipt(document, { chain, allowSimulated })
  for (const line of lines) console.log(formatLine(line))
  console.log(ok ? 'The receipt is valid.' : 'The receipt is NOT valid.')
  if (ok && lines.some(({ result }) => result === 'simulated'))
    console.log('Its place is simulated: it says nothing about where the job really ran.')
  return ok ? 0 : 1
}

async function readDocument(
  target: string,
  instance: DevInstance | undefined,
  values: { readonly url?: string; readonly key?: string },
): Promise<unknown> {
  if (!Bytes32.safeParse(target).success) return JSON.parse(await readFile(target, 'utf8'))
  const url = values.url ?? instance?.url
  const key = values.key ?? instance?.apiKey
  if (url === undefined) throw new Error(`Where is receipt ${target}? Give --url and --key.`)
  const response = await fetch(new URL(`/v1/receipts/${target}`, url), {
    headers: key === undefined ? {} : { authorization: `Bearer ${key}` },
    signal: AbortSignal.timeout(30_000),
  })
  const body: unknown = await response.json()
  if (!response.ok)
    throw new Error(`${url} answered ${response.status}: ${JSON.stringify(body).slice(0, 500)}`)
  return body
}
