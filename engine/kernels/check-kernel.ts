/** Checks the sizes of a submitted kernel's source, buffers and dispatch before its text is read. */
import { faultsError } from '#shared/base/errors.ts'
import { payloadBytes, type KernelWork } from '#shared/job/job.ts'
import { LIMITS } from '#shared/base/limits.ts'

/** @throws {AppError} too_large over a bound, invalid_request for values that contradict each other */
export function checkKernel(work: KernelWork, payload: Uint8Array): void {
  const sourceBytes = new TextEncoder().encode(work.wgsl).length
  bound('/kernel/wgsl', 'bytes of source', sourceBytes, LIMITS.wgslBytes)
  bound('/buffers', 'buffers', work.buffers.length, LIMITS.kernelBuffers)
  for (const [index, { sizeBytes, access }] of work.buffers.entries()) {
    const most = access === 'uniform' ? LIMITS.kernelUniformBytes : LIMITS.kernelBufferBytes
    bound(`/buffers/${index}`, 'bytes', sizeBytes, most)
  }
  const total = work.buffers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  bound('/buffers', 'bytes in all buffers', total, LIMITS.kernelTotalBytes)
  const returned = work.buffers.reduce((sum, b) => sum + (b.return ? b.sizeBytes : 0), 0)
  bound('/buffers', 'bytes to return', returned, LIMITS.jobOutputBytes)
  const groups = work.workgroups.reduce((product, size) => product * size, 1)
  bound('/kernel/workgroups', 'workgroups', groups, LIMITS.kernelWorkgroups)
  const bindings = new Set(work.buffers.map(({ binding }) => binding))
  if (bindings.size !== work.buffers.length) refuse('two buffers have the same binding')
  if (payload.length !== payloadBytes(work))
    refuse(`the filled buffers have ${payloadBytes(work)} bytes, ${payload.length} came`)
}

function bound(pointer: string, what: string, value: number, most: number): void {
  if (value <= most) return
  const detail = `has ${value} ${what}, at most ${most} are allowed`
  throw faultsError([{ pointer, detail }], 'too_large')
}

function refuse(detail: string): never {
  throw faultsError([{ pointer: '/buffers', detail }])
}
