/** The node's side of jobs in an engine's own process or worker: sent, watched, and rejected when the engine is lost. */
import { AppError } from '#shared/base/errors.ts'
import type { Answer, Work } from '#shared/job/job.ts'
import { HANG_RULE } from '#shared/kernels/rules.ts'
import { cancelled } from '#shared/base/deadline.ts'
import type { RunOptions } from '../engine.ts'
import { HANG_MS } from '../hang-limits.ts'
import { appErrorOf, UNTAKEN_BYTES, type JobMessage, type JobReply } from './messages.ts'

export interface RemoteRunOptions extends RunOptions {
  /** Called once, when the engine is finished with the job, even if its caller has left. */
  readonly onFree?: () => void
}

export interface RemoteJobsOptions {
  readonly say: (message: JobMessage) => void
  /** Called when a job is silent for longer than all limits. */
  readonly onHung: (detail: string) => void
}

export type RemoteJobs = ReturnType<typeof createRemoteJobs>

/** Kept until the engine is finished with it, even if its caller has left. */
type RemoteJob = ReturnType<typeof createJob>

export function createRemoteJobs({ say, onHung }: RemoteJobsOptions) {
  const jobs = new Map<number, RemoteJob>()
  let serial = 0
  let lost: AppError | undefined

  const begin = (work: Work, { emit, onFree }: RemoteRunOptions) => {
    const id = (serial += 1)
    const hangMs = HANG_MS[work.kind] * (1 + jobs.size)
    const onEnd = () => void jobs.delete(id)
    const job = createJob(emit, { kind: work.kind, hangMs, onHung, onFree, onEnd })
    jobs.set(id, job)
    job.watch()
    return { id, job }
  }
  const pass = (id: number, job: RemoteJob, bytes: Uint8Array) => {
    job.free()
    for (const { watch } of jobs.values()) watch()
    job.sent = job.sent.then(() => job.emit(bytes))
    job.sent.then(
      () => {
        const sizeBytes = job.take(bytes.length)
        if (sizeBytes > 0) say({ type: 'taken', job: id, sizeBytes })
      },
      (error: unknown) => {
        say({ type: 'cancel', job: id })
        job.answer.reject(error)
      },
    )
  }
  const reject = (error: AppError) => {
    for (const { answer } of jobs.values()) answer.reject(error)
  }
  return {
    /** @throws {AppError} the engine's error, node_timeout when it hangs, that of `lose`, cancelled */
    async run(work: Work, payload: Uint8Array, options: RemoteRunOptions): Promise<Answer> {
      const { signal, onFree } = options
      if (lost !== undefined || signal.aborted) {
        onFree?.()
        throw lost ?? cancelled()
      }
      const { id, job } = begin(work, options)
      // The engine may be in a run that cannot be interrupted; the caller need not wait for it.
      const cancel = () => {
        say({ type: 'cancel', job: id })
        job.answer.reject(cancelled())
      }
      signal.addEventListener('abort', cancel)
      let wasSent = false
      try {
        say({ type: 'run', job: id, work, payload })
        wasSent = true
        return await job.answer.promise
      } catch (error) {
        // One that could not be sent never ends otherwise.
        if (!wasSent) job.end()
        throw error
      } finally {
        signal.removeEventListener('abort', cancel)
      }
    },
    hear(reply: JobReply) {
      const job = jobs.get(reply.job)
      if (job === undefined) return
      const { answer } = job
      if (reply.type === 'bytes') pass(reply.job, job, reply.bytes)
      else if (reply.type === 'answer') {
        job.sent.then(() => answer.resolve(reply.answer), answer.reject)
        job.end()
      } else {
        answer.reject(appErrorOf(reply.error))
        if (!isLastWord(reply)) job.end()
      }
    },
    reject,
    /** Rejects all jobs, now and later. */
    lose(error: AppError) {
      lost = error
      reject(error)
      // The next job goes to the engine that takes over.
      setTimeout(() => {
        for (const { end } of jobs.values()) end()
      })
    },
  }
}

interface JobOptions extends Pick<RemoteJobsOptions, 'onHung'> {
  readonly kind: Work['kind']
  readonly hangMs: number
  readonly onFree: (() => void) | undefined
  readonly onEnd: () => void
}

function createJob(emit: RunOptions['emit'], options: JobOptions) {
  const { kind, hangMs, onHung, onFree, onEnd } = options
  const answer = Promise.withResolvers<Answer>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let isFree = false
  let untoldBytes = 0
  const hang = () => {
    const detail = `The job was silent for ${hangMs} ms, so its engine was ended.`
    const meta = kind === 'kernel' ? { rule: HANG_RULE } : {}
    answer.reject(new AppError('node_timeout', detail, { meta }))
    onHung(detail)
  }
  const free = () => {
    if (!isFree) onFree?.()
    isFree = true
  }
  return {
    emit,
    answer,
    /** Chunks are emitted in order, and the answer after the last. */
    sent: Promise.resolve(),
    /** Notes what the reader has taken. @returns bytes of which the engine is to be told now; 0 while they are few */
    take: (sizeBytes: number): number => {
      untoldBytes += sizeBytes
      if (untoldBytes < UNTAKEN_BYTES) return 0
      const toldBytes = untoldBytes
      untoldBytes = 0
      return toldBytes
    },
    free,
    /** Restarts the time within which the engine must report on the job. */
    watch: () => {
      clearTimeout(timer)
      timer = setTimeout(hang, hangMs)
    },
    end: () => {
      clearTimeout(timer)
      onEnd()
      free()
    },
  }
}

/** A lost device ends its engine: nothing else may be sent there. */
function isLastWord({ error }: JobReply & { readonly type: 'error' }): boolean {
  return error.code === 'node_timeout' || error.code === 'node_lost'
}
