/** Every bound in the system, with its unit in the name. A queue, frame, map, timeout or retry takes its bound here. */

const KIB = 1024
const MIB = 1024 * KIB

export const LIMITS = {
  /** HTTP */
  requestBodyBytes: 16 * MIB,
  requestTimeoutMs: 60_000,
  authCacheMs: 10_000,
  tenantsCached: 1_000,
  tenantKeys: 100,
  tenantPolicies: 100,
  rateLimitKeys: 10_000,
  /** Hub */
  hubPayloadBytes: 64 * MIB,
  hubNodes: 500,
  quarantineKept: 10_000,
  nodeJobsInFlight: 8,
  /** Sockets of one node id that are not yet members: one admission, sent again and again, must not fill the hub. */
  nodeEntering: 2,
  dispatchAttempts: 3,
  eligibleSample: 4,
  ticketTtlMs: 120_000,
  outboxBatch: 100,
  /** Work stream */
  frameBytes: 256 * KIB,
  controlFrameBytes: 512 * KIB,
  jobWindowBytes: MIB,
  jobOutputBytes: 32 * MIB,
  jobTimeoutMs: 60_000,
  openTimeoutMs: 10_000,
  heartbeatMs: 5_000,
  heartbeatTimeoutMs: 15_000,
  streamCloseMs: 1_000,
  /** Unsent bytes of one WebSocket from which writers wait. */
  socketBufferBytes: MIB,
  monitorPingMs: 60_000,
  /** Jobs that a hub has cancelled and whose end the node has not confirmed, a stream. */
  cancelledJobs: 64,
  /** Presence and admission */
  presenceBytes: 16 * KIB,
  presenceEveryMs: 60_000,
  presenceMaxAgeMs: 180_000,
  presenceModels: 64,
  /** Nodes whose last sequence a hub remembers. */
  presenceNodes: 10_000,
  admissionTtlMs: 60_000,
  admissionsPerMinute: 30,
  /** Node */
  receiptsKept: 10_000,
  reconnectMinMs: 250,
  reconnectMaxMs: 15_000,
  /** Submitted WGSL */
  wgslBytes: 64 * KIB,
  wgslStatements: 2_000,
  kernelBuffers: 8,
  kernelBufferBytes: 32 * MIB,
  kernelTotalBytes: 64 * MIB,
  /** Of at most 256 invocations each, WebGPU's default limit. */
  kernelWorkgroups: 1 << 18,
  kernelCompileMs: 15_000,
  kernelRunMs: 10_000,
  /** Resident memory of one engine process; a kernel of 17 KB has been seen to take 1.7 GB in the compiler. */
  engineProcessBytes: 1536 * MIB,
  /** Models */
  modelFileBytes: 25 * MIB,
  modelLoadMs: 120_000,
  tensorElements: 1 << 24,
  embeddingInputs: 256,
  textBytes: 16 * KIB,
  /** Text generation: the request as JSON, tokens of one answer, one line of the answer's stream. */
  textInputBytes: 256 * KIB,
  textTokens: 4_096,
  textEventBytes: 64 * KIB,
  /** Ledger */
  batchReceipts: 10_000,
  batchPolicies: 64,
  batchConsumers: 64,
} as const
