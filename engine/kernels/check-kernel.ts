/** What a host checks of a submitted kernel before the compiler sees it: size, statements, buffers, dispatch. */
import { AppError } from '#shared/errors.ts'
import { payloadBytes, type KernelWork } from '#shared/job.ts'
import { LIMITS } from '#shared/limits.ts'

/** @throws {AppError} too_large over a bound, invalid_request for what does not fit together; both name the value */
export function checkKernel(work: KernelWork, payload: Uint8Array): void {
  const sourceBytes = new TextEncoder().encode(work.wgsl).length
  bound('/kernel/wgsl', 'bytes of source', sourceBytes, LIMITS.wgslBytes)
  bound('/kernel/wgsl', 'statements', countStatements(work.wgsl), LIMITS.wgslStatements)
  bound('/buffers', 'buffers', work.buffers.length, LIMITS.kernelBuffers)
  for (const [index, { sizeBytes }] of work.buffers.entries()) {
    bound(`/buffers/${index}`, 'bytes', sizeBytes, LIMITS.kernelBufferBytes)
  }
  const total = work.buffers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  bound('/buffers', 'bytes in all buffers', total, LIMITS.kernelTotalBytes)
  const returned = work.buffers.reduce((sum, b) => sum + (b.return ? b.sizeBytes : 0), 0)
  bound('/buffers', 'bytes to return', returned, LIMITS.jobOutputBytes)
  const groups = work.workgroups.reduce((product, size) => product * size, 1)
  bound('/kernel/workgroups', 'workgroups', groups, LIMITS.kernelWorkgroups)
  const bindings = new Set(work.buffers.map(({ binding }) => binding))
  if (bindings.size !== work.buffers.length) refuse('/buffers', 'two buffers have the same binding')
  if (payload.length !== payloadBytes(work)) {
    refuse(
      '/buffers',
      `the filled buffers have ${payloadBytes(work)} bytes, ${payload.length} came`,
    )
  }
}

/** Semicolons and opening braces outside comments: every WGSL statement has one of them, so it is an upper bound. */
export function countStatements(wgsl: string): number {
  let count = 0
  let depth = 0
  for (let at = 0; at < wgsl.length; at += 1) {
    const pair = wgsl.slice(at, at + 2)
    if (pair === '/*') depth += 1
    if (pair === '*/' && depth > 0) depth -= 1
    if (pair === '/*' || pair === '*/') at += 1
    else if (depth === 0 && pair === '//') at = endOfLine(wgsl, at)
    else if (depth === 0 && (wgsl[at] === ';' || wgsl[at] === '{')) count += 1
  }
  return count
}

/** Every line break that WGSL knows ends a comment: https://www.w3.org/TR/WGSL/#line-break */
function endOfLine(text: string, from: number): number {
  const length = text.slice(from).search(/[\n\v\f\r\u0085\u2028\u2029]/)
  return length === -1 ? text.length : from + length
}

function bound(pointer: string, what: string, value: number, most: number): void {
  if (value <= most) return
  const detail = `has ${value} ${what}, at most ${most} are taken`
  throw new AppError('too_large', `${pointer} ${detail}.`, {
    meta: { errors: [{ pointer, detail }] },
  })
}

function refuse(pointer: string, detail: string): never {
  throw new AppError('invalid_request', `${pointer}: ${detail}.`, {
    meta: { errors: [{ pointer, detail }] },
  })
}
