/**
 * W3C trace context, level 1 (https://www.w3.org/TR/trace-context-1/): reads a caller's
 * `traceparent` and makes the span below it.
 */
import { bytesToHex } from 'viem'
import type { RandomBytes } from '#shared/base/ids.ts'

export interface TraceContext {
  /** 32 lower-case hex digits, not all zero. */
  readonly traceId: string
  /** 16 lower-case hex digits, not all zero: the parent span. */
  readonly parentId: string
  readonly isSampled: boolean
}

const VERSION_00 = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/
/** Later versions start with the fields of version 00; more may follow after a dash. */
const LATER_VERSION = /^(?!00|ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?$/s
const SAMPLED = 0x01

/** Undefined for what the specification ignores; a new trace then begins. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const match = VERSION_00.exec(header) ?? LATER_VERSION.exec(header)
  if (match === null) return undefined
  const [, traceId = '', parentId = '', flags = ''] = match
  if (isZero(traceId) || isZero(parentId)) return undefined
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 }
}

/** Always version 00 with no flag but `sampled`; a caller's other flags are not passed on. */
export function formatTraceparent({ traceId, parentId, isSampled }: TraceContext): string {
  return `00-${traceId}-${parentId}-${isSampled ? '01' : '00'}`
}

/**
 * The trace context of a request's work: a child of the caller's span, or a new trace. A new trace
 * is not sampled, because nothing here records spans.
 */
export function childContext(header: string | undefined, random: RandomBytes): TraceContext {
  const parent = header === undefined ? undefined : parseTraceparent(header)
  return {
    traceId: parent?.traceId ?? drawId(16, random),
    parentId: drawId(8, random),
    isSampled: parent?.isSampled ?? false,
  }
}

function drawId(sizeBytes: number, random: RandomBytes): string {
  const id = bytesToHex(random(sizeBytes)).slice(2)
  // An all-zero id is invalid.
  return isZero(id) ? `${id.slice(1)}1` : id
}

function isZero(hex: string): boolean {
  return /^0+$/.test(hex)
}
