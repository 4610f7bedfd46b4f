/** One vitest project a layer; `npm test -- --project unit` runs one. */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

/** Only a hang reaches it: no test may fail because the machine is busy. */
const HANG_MS = 300_000

/** Layer → whether its tests run against the built Worker and pages. */
const LAYERS = {
  unit: false,
  fuzz: true,
  p2p: false,
  contracts: false,
  engine: false,
  browser: true,
  e2e: true,
}

/** Lets tests load the classes of the Durable Objects in plain Node. */
const WORKERD_MODULE = {
  'cloudflare:workers': fileURLToPath(
    new URL('test/support/counts/durable-object.ts', import.meta.url),
  ),
}

export default defineConfig({
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    // Two cores: more at once makes each slower and the timings of none better.
    maxWorkers: 2,
    projects: Object.entries(LAYERS).map(([name, isBuilt]) => ({
      resolve: { alias: WORKERD_MODULE },
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: HANG_MS,
        hookTimeout: HANG_MS,
        expect: { poll: { timeout: HANG_MS / 5, interval: 100 } },
        globalSetup: isBuilt ? ['./test/support/stack/built.ts'] : [],
      },
    })),
  },
})
