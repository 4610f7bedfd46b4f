/** Builds once what end-to-end and browser tests run against: contracts, pages, the Worker with simulated places. */
import { MANIFESTS } from '#shared/manifests.ts'
import { buildPages, buildWorker } from '#scripts/build.ts'
import { buildContracts } from '#scripts/lib/forge.ts'

let building: Promise<void> | undefined

/** Vitest calls this once for each project that asks for it. */
export function setup(): Promise<void> {
  return (building ??= build())
}

async function build(): Promise<void> {
  await buildContracts()
  await buildPages(MANIFESTS)
  await buildWorker({ simulatedPlaces: true })
}
