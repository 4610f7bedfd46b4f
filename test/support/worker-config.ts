/** Configuration and Durable Object namespaces for tests that run parts of the Worker in this process. */
import type { Config, HubConfig, ObjectNamespace } from '#worker/platform/config.ts'

/** A configuration without keys, chain or attesters. */
export function plainConfig(
  hubs: readonly HubConfig[],
  deployment: Config['deployment'] = 'any',
): Config {
  return {
    hubs,
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
