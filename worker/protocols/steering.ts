/** Steers a job between hubs. Only a hub sets it: it is separate from the error, so no node's error can carry it. */
import { z } from 'zod'
import { AppError, factsOf, toAppError, toWireError, errorCode } from '#shared/base/errors.ts'

export const Steering = z.strictObject({
  /** True if another hub may be asked: no node has had the job, and another hub may have what is missing here. */
  mayAskElsewhere: z.boolean(),
  /** True if the hub has no nodes, and so cannot judge places. */
  hasNoNodes: z.boolean(),
  /** True if nodes are allowed to run the kernel but lack a feature that it requires. */
  lacksFeatures: z.boolean(),
})
export type Steering = z.infer<typeof Steering>

/** The job ends here. */
const HERE: Steering = {
  mayAskElsewhere: false,
  hasNoNodes: false,
  lacksFeatures: false,
}

/** A hub's refusal of a job, and where else the job may go. */
export class HubRefusal extends AppError {
  readonly steering: Steering

  constructor(error: AppError, steering: Partial<Steering> = {}) {
    super(error.code, error.detail, { meta: error.meta, cause: error })
    this.steering = { ...HERE, ...steering }
  }
}

export function steeringOf(error: unknown): Steering {
  return error instanceof HubRefusal ? error.steering : HERE
}

const Refusal = z.object({
  error: z.object({ code: z.string(), detail: z.string(), meta: z.unknown() }),
  steering: Steering,
})

/** The body of the hub's answer. */
export function packRefusal(error: unknown): unknown {
  return { error: toWireError(error), steering: steeringOf(error) }
}

/** @throws for a body that {@link packRefusal} did not make */
export function readRefusal(body: unknown): HubRefusal {
  const { error, steering } = Refusal.parse(body)
  const code = errorCode(error) ?? 'internal'
  return new HubRefusal(
    new AppError(code, error.detail, { meta: factsOf(code, error.meta) }),
    steering,
  )
}

export function refusalOf(error: unknown): HubRefusal {
  return error instanceof HubRefusal ? error : new HubRefusal(toAppError(error))
}
