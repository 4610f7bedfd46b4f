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
  modelFileBytes: 2_000 * MIB,
  /** Largest file that Cloudflare serves as a static asset; larger ones come from their sources or from other nodes. */
  servedFileBytes: 25 * MIB,
  /** Session and golden run of one model on one provider. */
  modelLoadMs: 120_000,
  /** One file, from all of its sources together; a source that sends nothing for `modelStallMs` is left. */
  modelFetchMs: 15 * 60_000,
  modelStallMs: 20_000,
  /** Times that one source is asked to go on after a cut. */
  modelSourceResumes: 4,
  /** Default bounds of what is kept on disk (Node, tab) and loaded at once, as bytes of files. */
  modelCacheBytes: 8 * KIB * MIB,
  tabCacheBytes: 2 * KIB * MIB,
  modelMemoryBytes: KIB * MIB,
  tabMemoryBytes: 512 * MIB,
  /** A model that was loaded or used this recently is not unloaded for another one. */
  modelKeepMs: 10_000,
  /** Loads that hubs may ask of one node. */
  modelLoadsPerMinute: 12,
  /** Loads that one hub waits for, and how long it does not ask a node again for a model that it could not load. */
  hubModelLoads: 32,
  modelLoadBackoffMs: 60_000,
  hubLoadsRemembered: 2_000,
  /** While every node that has a model is busy, one more is asked for it at most this often. */
  modelSpreadEveryMs: 10_000,
  /** Other nodes that have a model's files, as one load names them; addresses that one node announces. */
  loadPeers: 4,
  fileAddresses: 2,
  /** Files that one node sends to others at once, to one of them, and its bytes a second in all. */
  fileTransfers: 4,
  fileTransfersPerPeer: 2,
  fileBytesPerSecond: 32 * MIB,
  tensorElements: 1 << 24,
  embeddingInputs: 256,
  textBytes: 16 * KIB,
  /** Pictures and sound, as files: their bytes, and what they may unfold to. */
  mediaBytes: 8 * MIB,
  imagePixels: 1 << 24,
  imageSide: 8_192,
  /** Of a progressive JPEG; encoders write about ten, each costs a pass over the whole picture. */
  jpegScans: 32,
  audioSeconds: 300,
  audioChannels: 8,
  /** Lines of text, or things, that are reported of one picture. */
  ocrLines: 200,
  detections: 100,
  /** Text generation: the request as JSON, tokens of one answer, one line of the answer's stream. */
  textInputBytes: 256 * KIB,
  textTokens: 4_096,
  textEventBytes: 64 * KIB,
  /** Ledger */
  batchReceipts: 10_000,
  batchPolicies: 64,
  batchConsumers: 64,
} as const
