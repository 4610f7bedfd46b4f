/** Finds the node for a job's next attempt: filters by bans, waits for a slot, has a model loaded, or refuses. */
import { AppError, errorCode } from '#shared/base/errors.ts'
import type { Work } from '#shared/job/job.ts'
import { bannedKernel, type KernelBar, type KernelBans } from '#worker/hub/bans/kernel-bans.ts'
import type { Capacity } from '#worker/hub/choice/capacity.ts'
import {
  chooseNode,
  chooseSecond,
  type Choice,
  type NodeView,
  type ChoiceJob,
} from '#worker/hub/choice/choice.ts'
import type { HedgeBudget, SecondCost } from '#worker/hub/choice/hedge-budget.ts'
import type { ModelLoads } from '#worker/hub/loads/model-loads.ts'
import type { PlacementJob } from '#worker/hub/loads/placement.ts'
import type { Directory, Member } from '#worker/hub/members/directory.ts'
import { HubRefusal } from '#worker/protocols/steering.ts'
import type { Job } from './job.ts'
import { isOfTheWork } from './error-for-caller.ts'

export interface NodeChoiceDeps {
  readonly directory: Directory
  readonly bans: Pick<KernelBans, 'barOf'>
  readonly loads: ModelLoads
  readonly capacity: Capacity
  readonly budget: HedgeBudget
  readonly now: () => number
  readonly random: () => number
}

/** A node with a slot taken. */
export interface Chosen {
  readonly member: Member
  /** Gives the slot back. */
  readonly onFree: () => void
}

/** A second node, which is paid for. */
interface Second extends Chosen {
  readonly cost: SecondCost
}

export interface NodeChoice {
  /**
   * @param lost error of the job's last attempt @param isLast whether no attempt follows
   * @throws {AppError} `lost` if there is one, else why no node is left
   */
  choose(
    job: Job,
    attempt: { readonly lost: AppError | undefined; readonly isLast: boolean },
  ): Promise<Chosen>
  /**
   * A free node beside the one that is late, by the same filter and within the budget; undefined if there is none.
   */
  second(job: Job, late: Member): Second | undefined
  /** Finds nodes that were not given the job, by the same filter, ignoring silent ones. */
  others(job: Job, leftMs: number): 'none' | 'some' | 'quick'
}

type Attempted = Pick<ChoiceJob, 'leftMs' | 'isLast'>

export function createNodeChoice(deps: NodeChoiceDeps): NodeChoice {
  const { directory, bans, loads, capacity, budget, now, random } = deps

  /** The nodes that no ban bars from the job, as of now: waiting jobs and new attempts are filtered again. */
  const candidates = ({ request: { work, units }, bar: before }: Job) => {
    const bar = worse(before, bans.barOf(work))
    const views = directory.views(work, units)
    if (bar === 'none') return { bar, views }
    return { bar, views: views.filter(({ facts }) => bar !== 'all' && facts.trust !== bar) }
  }
  const pick = (job: Job, views: readonly NodeView[], about: Attempted) =>
    chooseNode(views, asked(job, about), random)
  const take = (member: Member, work: Work): Chosen => {
    const giveBack = directory.take(member.admission.nodeId, work)
    const onFree = () => {
      giveBack()
      capacity.notify()
    }
    return { member, onFree }
  }
  /** Has an allowed node load the model that none has, within the job's time. */
  const bringModel = async (job: Job): Promise<boolean> => {
    const { work, warmOnly } = job.request
    if (!('model' in work) || warmOnly === true) return false
    const loadMs = await loads.bring(placementOf(job, work), job.cancellation)
    job.waitedForLoad(loadMs ?? 0)
    return loadMs !== undefined
  }

  return {
    async choose(job, { lost, isLast }) {
      const { work } = job.request
      let hasWaited = false
      for (;;) {
        const { bar, views } = candidates(job)
        if (bar === 'all') throw lost ?? bannedKernel(work.digest)
        const choice = pick(job, views, { leftMs: job.leftMs(now()), isLast })
        if (choice.kind === 'node') {
          const member = directory.get(choice.nodeId)
          if (member !== undefined) return take(member, work)
          continue
        }
        if (choice.kind === 'wait') {
          hasWaited = true
          if ('model' in work && choice.isBusy) loads.spread(placementOf(job, work))
          await waitForSlot(capacity, job, lost)
          continue
        }
        if (bar === 'public') throw lost ?? bannedKernel(work.digest)
        if (choice.error.code === 'no_capacity' && (await bringModel(job))) continue
        throw refusalOf(choice, { lost, hasWaited })
      }
    },
    second(job, { admission: { reporter } }) {
      const { bar, views } = candidates(job)
      if (bar === 'all') return undefined
      const view = chooseSecond(views, asked(job, { leftMs: job.leftMs(now()) }), reporter)
      const member = view && directory.get(view.nodeId)
      if (view === undefined || member === undefined) return undefined
      const { serviceMs: ownMs, inFlight } = view
      if (!budget.spend(ownMs)) return undefined
      const cost = { ownMs, aheadMs: ownMs * inFlight }
      return { ...take(member, job.request.work), cost }
    },
    others(job, leftMs) {
      const { work, units } = job.request
      const views = candidates(job).views.filter(({ standing }) => standing !== 0)
      const choice = pick(job, views, { leftMs })
      if (choice.kind === 'refuse') return 'none'
      const other = choice.kind === 'node' ? directory.get(choice.nodeId) : undefined
      const slowestMs = other && directory.slowestMs(other, work, units)
      return slowestMs !== undefined && slowestMs < leftMs / 2 ? 'quick' : 'some'
    },
  }
}

function asked({ request, tried }: Job, about: Attempted): ChoiceJob {
  const { policy, allowed, work, nodeId } = request
  return { policy, allowed, work, nodeId, tried, ...about }
}

/** A job that a node has had goes to no other hub, so that attempt's error is reported first. */
async function waitForSlot(
  capacity: Capacity,
  { request, cancellation }: Job,
  lost: AppError | undefined,
): Promise<void> {
  try {
    await capacity.wait(request.tenant, cancellation)
  } catch (error) {
    throw errorCode(error) === 'no_capacity' && !isOfTheWork(lost) ? (lost ?? error) : error
  }
}

function refusalOf(
  { error, hasNoNodes, lacksFeatures }: Extract<Choice, { kind: 'refuse' }>,
  { lost, hasWaited }: { readonly lost: AppError | undefined; readonly hasWaited: boolean },
): AppError {
  // A node has called the work invalid, but another might have run it: only the time is certain.
  const isTooLate = error.code === 'deadline_unmeetable' && isOfTheWork(lost)
  if (lost !== undefined && !isTooLate) return withoutOther(lost)
  if (hasWaited && isWantOfNode(error))
    return new AppError(
      'node_lost',
      'The last node that may run this job left, or is no longer allowed, while the job waited.',
    )
  return new HubRefusal(error, { hasNoNodes, lacksFeatures })
}

export function isWantOfNode({ code }: AppError): boolean {
  return code === 'no_capacity' || code === 'residency_unsatisfiable'
}

/** The job may be retried here: the same node may come back. */
function withoutOther(lost: AppError): AppError {
  if (lost.code !== 'node_lost') return lost
  const detail = `${lost.detail} No other allowed node is here.`
  return new AppError('node_lost', detail, { meta: lost.meta, cause: lost })
}

function worse(a: KernelBar, b: KernelBar): KernelBar {
  return a === 'none' || b === 'all' ? b : a
}

function placementOf(
  { request: { tenant, policy, allowed, nodeId }, tried }: Job,
  { digest }: Work,
): PlacementJob {
  return { tenant, policy, allowed, digest, tried, nodeId }
}
