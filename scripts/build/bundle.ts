/** The description of a built Worker, so that running it needs no wrangler. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

/** Written by `scripts/build/build.ts` next to the modules. */
export const BUNDLE_FILE = 'bundle.json'

export const Bundle = z.strictObject({
  /** The build accepts simulated places. Never serve such a bundle to strangers. */
  simulatedPlaces: z.boolean(),
  main: z.string(),
  compatibilityDate: z.string(),
  compatibilityFlags: z.array(z.string()),
  durableObjects: z.array(z.strictObject({ binding: z.string(), className: z.string() })),
  assets: z.string().nullable(),
  /** Defaults from wrangler.toml. */
  vars: z.record(z.string(), z.string()),
  sizeBytes: z.int(),
  gzipBytes: z.int(),
})
export type Bundle = z.infer<typeof Bundle>

export function readBundle(bundleDir: string): Bundle {
  return Bundle.parse(JSON.parse(readFileSync(join(bundleDir, BUNDLE_FILE), 'utf8')))
}
