/** One vitest project a layer; `npm test -- --project unit` runs one. */
import { defineConfig } from 'vitest/config'

const node = (name: string, seconds = 20) => ({
  test: {
    name,
    include: [`test/${name}/**/*.test.ts`],
    exclude: ['test/worker/**'],
    environment: 'node' as const,
    testTimeout: seconds * 1000,
    hookTimeout: Math.max(60, seconds) * 1000,
  },
})

export default defineConfig({
  test: {
    reporters: ['default', './test/support/count-reporter.ts'],
    projects: [
      node('unit'),
      node('fuzz', 60),
      node('p2p', 60),
      node('contracts', 120),
      node('engine', 180),
      node('browser', 180),
      node('e2e', 180),
    ],
    maxWorkers: 2,
  },
})
