/** One vitest project a layer; `npm test -- --project unit` runs one. */
import { defineConfig } from 'vitest/config'

interface Layer {
  readonly seconds: number
  /** Whether the tests run against the built Worker and pages. */
  readonly built?: boolean
}

const LAYERS: Readonly<Record<string, Layer>> = {
  unit: { seconds: 20 },
  fuzz: { seconds: 120, built: true },
  p2p: { seconds: 60 },
  contracts: { seconds: 120 },
  engine: { seconds: 180 },
  browser: { seconds: 180, built: true },
  e2e: { seconds: 180, built: true },
}

export default defineConfig({
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    // Two cores: more at once makes each slower and the timings of none better.
    maxWorkers: 2,
    projects: Object.entries(LAYERS).map(([name, { seconds, built = false }]) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: seconds * 1000,
        hookTimeout: Math.max(60, seconds) * 1000,
        globalSetup: built ? ['./test/support/built.ts'] : [],
      },
    })),
  },
})
