/** Counts a bundle's jobs by policy and country, with each policy's text. */
import { compilePolicy } from '#shared/law/compile-policy.ts'
import type { BundledPolicy } from '#shared/audit/bundle.ts'
import type { Bytes32, TenantId } from '#shared/base/ids.ts'
import type { Policy } from '#shared/law/policy.ts'
import type { SignedReceipt } from '#shared/receipt/receipt.ts'
import { countryCode, listCountries } from '#shared/law/region.ts'
import { lineAbout as line, type BundleLine } from './line.ts'

export interface PolicySum {
  /** `eu-only@3` */
  readonly name: string
  /** The published policy; null where the bundle lacks it. */
  readonly text: Policy | null
  readonly countries: readonly string[]
  /** Number of jobs by the country where they ran. */
  readonly jobs: ReadonlyMap<string, number>
}

interface Named extends PolicySum {
  readonly jobs: Map<string, number>
  isUsed: boolean
}

export function createPolicyCheck(tenant: TenantId) {
  const byHash = new Map<Bytes32, Named>()
  return {
    add({ policy, version }: BundledPolicy): BundleLine | undefined {
      const { hash, compute } = compilePolicy(policy, { tenant, version })
      const name = `${policy.id}@${version}`
      if (byHash.has(hash)) return line(name, 'policy.text', false, 'it appears twice')
      const countries = listCountries(compute)
      byHash.set(hash, { name, text: policy, countries, jobs: new Map(), isUsed: false })
      return undefined
    },

    count({ policy, receipt }: SignedReceipt): void {
      const { hash, id, version, compute } = policy
      const named = byHash.get(hash) ?? {
        name: `${id}@${version}`,
        text: null,
        countries: listCountries(compute),
        jobs: new Map<string, number>(),
        isUsed: true,
      }
      byHash.set(hash, named)
      named.isUsed = true
      const country = countryCode(receipt.ticket.place.country)
      named.jobs.set(country, (named.jobs.get(country) ?? 0) + 1)
    },

    /** @param admitted hashes of policies that entries of the log name */
    end(admitted: ReadonlySet<Bytes32>): BundleLine[] {
      return [...byHash].map(([hash, { name, text, isUsed }]) => {
        if (text === null)
          return line(
            name,
            'policy.text',
            'missing',
            `the text of the policy with hash ${hash} is missing`,
          )
        const isNamed = isUsed || admitted.has(hash)
        return line(name, 'policy.text', isNamed, `its text has the hash ${hash}, which jobs name`)
      })
    },

    sums: (): PolicySum[] => [...byHash.values()],
  }
}
