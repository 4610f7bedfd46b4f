/** Builds what end-to-end and browser tests need: pages, the verifier, and the Worker with and without simulated places. */
import { MANIFESTS } from '#shared/job/manifests.ts'
import { buildPages, buildVerifier, buildWorker } from '#scripts/build/build.ts'

let building: Promise<void> | undefined

/** Vitest calls this once for each project; it builds once. */
export function setup(): Promise<void> {
  return (building ??= build())
}

async function build(): Promise<void> {
  await buildPages(MANIFESTS)
  await buildWorker({ simulatedPlaces: false })
  await buildWorker({ simulatedPlaces: true })
  await buildVerifier()
}
