/** `POST /v1/compute`: a WGSL kernel over buffers. */
import { Hono } from 'hono'
import { KERNEL_PRICE_MICRO_USD, kernelUnits } from '#shared/pricing.ts'
import type { AppContext, AppEnv } from '../context.ts'
import { ComputeRequest, decodeCompute, encodeCompute } from '../formats/compute.ts'
import { parseBody } from '../formats/faults.ts'
import { readJson } from '../middleware/body.ts'
import { inference } from '../middleware/inference.ts'
import { runJob } from './run-job.ts'

export const computeRoutes = new Hono<AppEnv>().post(
  '/v1/compute',
  ...inference,
  compute,
)

async function compute(c: AppContext): Promise<Response> {
  const request = parseBody(ComputeRequest, await readJson(c.req.raw))
  const { work, payload } = await decodeCompute(request)
  const priced = {
    work,
    payload,
    units: kernelUnits(work),
    priceMicroUsd: KERNEL_PRICE_MICRO_USD,
  }
  const { outcome, payload: bytes, jobId } = await runJob(c, priced, request)
  const answer = { outputs: outcome.answer.outputs, payload: bytes }
  return c.json(encodeCompute(answer, { id: jobId, receipt: outcome.receiptId }))
}
