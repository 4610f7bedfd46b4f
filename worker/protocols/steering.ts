/** What steers a job between hubs. A hub alone sets it, and no error of a node can hold it: it is another type, and travels beside the error. */
import { z } from 'zod'
import { AppError, factsOf, toAppError, toWireError, errorCode } from '#shared/base/errors.ts'
import { LIMITS } from '#shared/base/limits.ts'

export const Steering = z.strictObject({
  /** Whether another hub may be asked: no node has had the job, and what is missing here may be there. */
  mayAskElsewhere: z.boolean(),
  /** Hubs that are known to have such a node, to be asked first. */
  tryHubs: z.array(z.string().max(64)).max(LIMITS.hubPeers).readonly(),
  /** A hub without nodes knows nothing of places. */
  hasNoNodes: z.boolean(),
  /** Nodes may run the kernel, and none has a feature that it requires. */
  lacksFeatures: z.boolean(),
})
export type Steering = z.infer<typeof Steering>

/** The job ends with this error, whatever the error says. */
const HERE: Steering = {
  mayAskElsewhere: false,
  tryHubs: [],
  hasNoNodes: false,
  lacksFeatures: false,
}

/** What a hub refuses a job with, and where else it may go. */
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

/** As the hub answers the Worker. */
export function packRefusal(error: unknown): unknown {
  return { error: toWireError(error), steering: steeringOf(error) }
}

/** @throws when it is not what {@link packRefusal} makes */
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
