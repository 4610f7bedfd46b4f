/** `POST /v1/compute` runs a WGSL kernel or a library kernel; `GET /v1/kernels` lists the library. */
import { Hono } from 'hono'
import { KERNEL_SPECS } from '#shared/kernels/specs.ts'
import { describeKernel, LIBRARY_PRICE_MICRO_USD } from '#shared/kernels/kernels.ts'
import { KERNEL_PRICE_MICRO_USD, kernelUnits } from '#shared/receipt/pricing.ts'
import type { AppContext, AppEnv } from '#worker/gate/context.ts'
import { ComputeRequest, decodeCompute, encodeCompute } from './compute.ts'
import { parseBody } from '#worker/body/faults.ts'
import { decodeLibrary, encodeLibrary, LibraryRequest } from './library.ts'
import { optionalKey } from '#worker/gate/auth.ts'
import { readJson } from '#worker/gate/body.ts'
import { inference } from '#worker/gate/inference.ts'
import { answerJson } from '#worker/http/answer.ts'
import { runJob } from '#worker/dispatch/run-job.ts'

export const computeRoutes = new Hono<AppEnv>()
  .post('/v1/compute', ...inference, compute)
  .get('/v1/kernels', optionalKey, listKernels)

async function compute(c: AppContext): Promise<Response> {
  const body = await readJson(c)
  const kernel: unknown =
    typeof body === 'object' && body !== null ? Reflect.get(body, 'kernel') : undefined
  return typeof kernel === 'string' ? runLibrary(c, body) : runWgsl(c, body)
}

async function runWgsl(c: AppContext, body: unknown): Promise<Response> {
  const request = parseBody(ComputeRequest, body)
  const { work, payload } = await decodeCompute(request)
  const units = kernelUnits(work)
  const priced = { work, payload, units, priceMicroUsd: KERNEL_PRICE_MICRO_USD }
  const job = await runJob(c, priced, request)
  return answerJson(c, encodeCompute(job, { id: job.jobId, receipt: job.outcome.receiptId }))
}

async function runLibrary(c: AppContext, body: unknown): Promise<Response> {
  const request = parseBody(LibraryRequest, body)
  const { work, payload, resolved } = decodeLibrary(request)
  const { units } = resolved
  const priced = { work, payload, units, priceMicroUsd: LIBRARY_PRICE_MICRO_USD }
  const job = await runJob(c, priced, request)
  return answerJson(
    c,
    encodeLibrary(job, { id: job.jobId, receipt: job.outcome.receiptId }, request),
  )
}

function listKernels(c: AppContext): Response {
  return c.json({ object: 'list', data: KERNEL_SPECS.map(describeKernel) })
}
