/** Compares what a kernel declares with what its job brings: buffers by binding and access, features by name. */
import type { KernelWork } from '#shared/job/job.ts'
import type { KernelReport, Resource } from './rewrite/inspect-kernel.ts'
import { refuse } from './parse/refuse.ts'

/**
 * @returns the job with each buffer bound as its kernel declares it. A `read` buffer may also be a uniform
 * @throws {AppError} invalid_request with the line of the declaration that does not match
 */
export function checkInterface({ module, resources }: KernelReport, work: KernelWork): KernelWork {
  const { requires = [] } = work
  for (const { kind, names, start } of module.directives) {
    const missing =
      kind === 'diagnostic' ? undefined : names.find((name) => !requires.includes(name))
    if (missing === undefined) continue
    const detail = `"${kind} ${missing}" needs "${missing}" in the kernel's "requires", so that a node with it is chosen`
    throw refuse('invalid_request', { source: module.source, start }, detail)
  }
  for (const resource of resources) checkResource(resource, work)
  const uniforms = new Set(
    resources.flatMap(({ access, binding }) => (access === 'uniform' ? [binding] : [])),
  )
  const buffers = work.buffers.map((buffer) =>
    uniforms.has(buffer.binding) ? { ...buffer, access: 'uniform' as const } : buffer,
  )
  return { ...work, buffers }
}

function checkResource(
  { name, position, group, binding, access }: Resource,
  { buffers }: KernelWork,
): void {
  const fault = (detail: string) => refuse('invalid_request', position, `${name} ${detail}`)
  if (access === undefined) throw fault('is not a buffer, and a kernel gets only buffers')
  if (group !== 0) throw fault('is not in @group(0), where the buffers are')
  const buffer = buffers.find((candidate) => candidate.binding === binding)
  if (buffer === undefined) throw fault(`has @binding(${binding}), and no buffer has that binding`)
  const isReadable = access === 'uniform' && buffer.access === 'read'
  if (buffer.access !== access && !isReadable) {
    const spelt = access === 'uniform' ? 'uniform' : `storage, ${access}`
    throw fault(`is var<${spelt}>: its buffer needs access "${access}", not "${buffer.access}"`)
  }
}
