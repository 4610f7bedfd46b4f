/** The bounds that two layers must agree on. Every other bound stands in the file that enforces it. */
import { invariant } from './errors.ts'

export const KIB = 1024
export const MIB = 1024 * KIB

export const LIMITS = {
  requestBodyBytes: 16 * MIB,
  /** Consortia that one key may represent. */
  keyNetworks: 8,
  hubNodes: 500,
  /** Jobs that one node runs at once. */
  nodeJobsInFlight: 8,
  /** A session without a step ends after this time. */
  sessionIdleMs: 120_000,
  jobOutputBytes: 32 * MIB,
  /** Time for one job on a node. */
  jobTimeoutMs: 60_000,
  /** Time to open a connection or a stream. */
  openTimeoutMs: 10_000,
  presenceBytes: 16 * KIB,
  presenceMaxAgeMs: 180_000,
  presenceModels: 64,
  /** Difference allowed between two clocks. */
  clockSkewMs: 60_000,
  /** Anchors whose round trips one record holds. */
  evidenceAnchors: 8,
  /** Echoes of one measurement. */
  echoSamples: 24,
  /** Time for one echo. */
  echoTimeoutMs: 5_000,
  /** Time for all echoes of one measurement. */
  echoRunMs: 30_000,
  /** Time between two measurements of one node. */
  echoEveryMs: 1_200_000,
  /** Hubs that measure nodes, in one deployment. */
  anchors: 16,
  /** Receipts that a node keeps. */
  receiptsKept: 10_000,
  wgslBytes: 64 * KIB,
  kernelBuffers: 8,
  kernelBufferBytes: 32 * MIB,
  /** WebGPU's default limit for the binding of a uniform buffer. */
  kernelUniformBytes: 64 * KIB,
  /** Names of features that a node offers. */
  kernelFeatures: 32,
  kernelTotalBytes: 64 * MIB,
  /** Workgroups of at most 256 invocations, which is WebGPU's default limit. */
  kernelWorkgroups: 1 << 18,
  /** Time to compile one kernel. */
  kernelCompileMs: 15_000,
  /** Longest time that a submitted kernel may hold a device. Its budget is set to half of this. */
  kernelRunMs: 2_000,
  /** Operations of one library job: a product of two 1024 × 1024 matrices, two seconds on a two-core software adapter. */
  libraryOperations: 2 ** 31,
  /** Device time of one piece of work. A pause takes effect after the running piece. */
  pieceMs: 100,
  modelFileBytes: 2_000 * MIB,
  /** Largest file that Cloudflare serves as a static asset. Larger ones come from their sources or from other nodes. */
  servedFileBytes: 25 * MIB,
  /** Session and golden run of one model on one provider. */
  modelLoadMs: 120_000,
  /** Time for one file from all of its sources. */
  modelFetchMs: 15 * 60_000,
  /** A source that sends nothing for this long is left. */
  modelStallMs: 20_000,
  /** Nodes named in one load as sources of a model's files. */
  loadPeers: 4,
  /** Addresses that one node announces for its files. */
  fileAddresses: 2,
  tensorElements: 1 << 24,
  /** OpenAI's limit, to which clients cut their batches. */
  embeddingInputs: 2_048,
  textBytes: 16 * KIB,
  /** A text request as JSON. */
  textInputBytes: 256 * KIB,
  /** Tokens of one answer. */
  textTokens: 4_096,
  /** One line of a streamed answer. */
  textEventBytes: 64 * KIB,
  /** Nesting of a JSON schema. */
  jsonDepth: 16,
  /** Receipts and entries that one alarm of a tenant erases. */
  retentionSweepRows: 5_000,
} as const

const { echoTimeoutMs, echoRunMs, echoEveryMs } = LIMITS
const { kernelUniformBytes, kernelBufferBytes, kernelTotalBytes, jobOutputBytes } = LIMITS
invariant(echoTimeoutMs <= echoRunMs && echoRunMs < echoEveryMs, 'Measurements do not overlap.')
invariant(LIMITS.evidenceAnchors <= LIMITS.anchors, 'A record holds anchors of one deployment.')
invariant(kernelUniformBytes <= kernelBufferBytes, 'A uniform buffer is a buffer.')
invariant(kernelBufferBytes <= kernelTotalBytes, 'One buffer fits a kernel.')
invariant(kernelBufferBytes <= jobOutputBytes, 'One buffer fits the output.')
invariant(LIMITS.textEventBytes <= jobOutputBytes, 'A line of text fits the output.')
invariant(LIMITS.textInputBytes <= LIMITS.requestBodyBytes, 'A text request fits the body.')
invariant(LIMITS.kernelRunMs < LIMITS.jobTimeoutMs, 'A kernel ends before its job does.')
invariant(
  LIMITS.modelLoadMs < LIMITS.modelFetchMs,
  'Fetching a model may take longer than loading it.',
)
