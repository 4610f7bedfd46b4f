/** Configuration and Durable Object namespaces for tests that run parts of the Worker in this process. */
import type { Config, ObjectNamespace, RegionConfig } from '#worker/platform/config.ts'

/** A configuration without keys, chain or attesters. */
export function plainConfig(
  regions: readonly (Omit<RegionConfig, 'shards'> & Partial<Pick<RegionConfig, 'shards'>>)[],
  deployment: Config['deployment'] = 'any',
): Config {
  return {
    regions: regions.map((region) => ({ shards: 1, ...region })),
    hubSeats: 500,
    deployment,
    ingressCountry: 0,
    hubAddress: '',
    operatorKey: undefined,
    admissionSecret: undefined,
    proxySecret: undefined,
    logKey: undefined,
  }
}

/** Gives the same object for every name and jurisdiction. */
export function namespaceOf(object: unknown): ObjectNamespace {
  return { getByName: () => object, jurisdiction: () => namespaceOf(object) }
}
