/** Every bound in the system, with its unit in the name. A queue, frame, map, timeout or retry takes its bound here. */

const KIB = 1024
const MIB = 1024 * KIB

export const LIMITS = {
  /** HTTP */
  requestBodyBytes: 16 * MIB,
  requestTimeoutMs: 60_000,
  /** A request's body: all of it, and between two parts of it. */
  bodyMs: 60_000,
  bodyStallMs: 10_000,
  /** Silence of an event stream after which a comment shows that it lives. */
  sseHeartbeatMs: 10_000,
  /** How long a part of a streamed answer may wait for its reader. */
  streamStallMs: 30_000,
  authCacheMs: 10_000,
  tenantsCached: 1_000,
  tenantKeys: 100,
  keyNameCharacters: 64,
  /** An isolate says once in this time that a key is in use. */
  keyUseReportMs: 60_000,
  /** Policies that take jobs, and those that were retired. */
  tenantPolicies: 100,
  tenantPoliciesRetired: 400,
  /** Consortia that one key may stand for. */
  keyNetworks: 8,
  /** How long the secret before a rotation may still be taken. */
  keyOverlapMs: 3_600_000,
  policyBodyBytes: 64 * KIB,
  /** Newest versions of one policy that a list shows; each of the older ones can be asked for. */
  policyVersionsListed: 200,
  rateLimitKeys: 10_000,
  /** MQTT bridge: a message that is answered by more than an error, and a packet that a broker of MQTT 5 may send at all. */
  mqttPayloadBytes: 8 * MIB,
  mqttPacketBytes: 64 * MIB,
  /** Idempotency keys, of one tenant */
  idempotencyKeyChars: 255,
  idempotencyKeptMs: 86_400_000,
  idempotencyKeys: 100_000,
  /** A key lives for a day and a batch for as long; their last job may be on its way a while. */
  jobSentAgainMs: 2 * 86_400_000,
  /** A recorded answer; SQLite in a Durable Object takes rows of 2 MB. */
  idempotencyBodyBytes: MIB,
  idempotencyTotalBytes: 256 * MIB,
  /** A key whose first request has not been heard of for this long may be run by the next one. */
  idempotencyLeaseMs: 90_000,
  idempotencyWaitMs: 60_000,
  idempotencyWaiters: 4_096,
  /** Quota, of one tenant, where the operator has set none */
  quotaRequestsPerMinute: 600_000,
  /** Parts of a quota that an isolate takes at a time. */
  quotaLeases: 50,
  /** Hub */
  hubPayloadBytes: 64 * MIB,
  /** Beside its payload, what one job counts for in these. */
  hubJobBytes: 4 * KIB,
  hubNodes: 500,
  /** Of those, kept for nodes that somebody vouches for, or that have answered jobs. */
  hubSeatsKept: 50,
  /** Sockets that have not yet proved who they are, and admissions that a hub remembers as used until they end. */
  hubEntering: 256,
  admissionsRemembered: 20_000,
  quarantineKept: 10_000,
  nodeJobsInFlight: 8,
  /** Sockets of one node id that are not yet members: one admission, sent again and again, must not fill the hub. */
  nodeEntering: 2,
  dispatchAttempts: 3,
  eligibleSample: 4,
  ticketTtlMs: 120_000,
  outboxBatch: 100,
  /** How long acknowledgements wait for a job that they can travel with. */
  ackGatherMs: 50,
  /** Of an answer that waits on the node for its receipt, so that both are one message. */
  heldOutputBytes: 16 * 1024,
  /** Sessions: on one hub; of one hub's checkpoints and waiting steps; of one client's unanswered steps; one step; without any step. */
  hubSessions: 200,
  hubSessionBytes: 64 * MIB,
  /** Of those, one tenant's. */
  tenantSessions: 100,
  tenantSessionBytes: 32 * MIB,
  sessionStateBytes: 4 * MIB,
  sessionStepsWaiting: 64,
  sessionStepMs: 15_000,
  sessionIdleMs: 120_000,
  sessionMessageBytes: 8 * MIB,
  sessionCheckpointEvery: 1_000,
  sessionMoves: 5,
  /** Sent and not acknowledged, from which on no step is begun; how long a client may leave it so. */
  sessionUnreadBytes: 64 * KIB,
  sessionUnreadMs: 30_000,
  /** Sessions whose buffers one device keeps, and their bytes together; the least recently used goes first. */
  deviceSessions: 32,
  deviceSessionBytes: 128 * MIB,
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
  /** Evidence of place: how long a conclusion stands; how long a measured round trip counts; by how much clocks may differ. */
  evidenceTtlMs: 900_000,
  echoTtlMs: 3_600_000,
  clockSkewMs: 60_000,
  /** Anchors whose round trips one record holds; echoes of one measurement, and the time for each and for all of them. */
  evidenceAnchors: 8,
  echoSamples: 24,
  echoTimeoutMs: 5_000,
  echoRunMs: 30_000,
  /** From one measurement of a node to the next. */
  echoEveryMs: 1_200_000,
  /** Echoes of one measurement that answer nothing that was asked, before its stream ends. */
  echoesRefused: 4,
  /** Nodes whose echoes one hub remembers. */
  echoNodes: 2_000,
  attestationMs: 400 * 86_400_000,
  attestationsKept: 10_000,
  /** Hubs of one deployment, and messages of one of them that another takes in a second. */
  hubPeers: 16,
  hubNoticeBytes: 32 * KIB,
  /** How often a hub looks whether it still has its connections to the others. */
  hubReachMs: 15_000,
  admissionTtlMs: 60_000,
  admissionsPerMinute: 30,
  /** Node */
  receiptsKept: 10_000,
  /** How long a node that is told to end lets its jobs run before it hands them back; service managers wait for ten seconds at least. */
  nodeLeaveMs: 8_000,
  reconnectMinMs: 250,
  reconnectMaxMs: 15_000,
  /** The longest that a node stays away because the network told it to. */
  rejoinMaxSeconds: 3_600,
  /** Submitted WGSL */
  wgslBytes: 64 * KIB,
  wgslStatements: 2_000,
  wgslTokens: 20_000,
  /** Of blocks and expressions inside one another. */
  wgslDepth: 120,
  /** Operands in a row: `a + b + c`. */
  wgslChain: 500,
  wgslFunctions: 128,
  /** Units of weight (`engine/kernels/rewrite/weights.ts`) of one function with its calls written out. */
  wgslExpanded: 20_000,
  /** Blocks of all loops, each as often as there are ways to it, on a software adapter: its compiler takes a second. */
  wgslWays: 1 << 19,
  /** 32-bit words of one value, and of all private variables and constants together. */
  wgslValueWords: 1_024,
  kernelBuffers: 8,
  kernelBufferBytes: 32 * MIB,
  /** WebGPU's default limit of a uniform buffer's binding. */
  kernelUniformBytes: 64 * KIB,
  /** Names of features that a node offers. */
  kernelFeatures: 32,
  kernelTotalBytes: 64 * MIB,
  /** Of at most 256 invocations each, WebGPU's default limit. */
  kernelWorkgroups: 1 << 18,
  kernelCompileMs: 15_000,
  /** Nothing that a stranger sent holds a device longer; half of it is what its budget is made for. */
  kernelRunMs: 2_000,
  /** The same on the clock, where the processor that plays the GPU was busy with other things. */
  kernelStarvedMs: 10_000,
  /** A kernel of our own library may take longer on a software adapter. */
  libraryRunMs: 20_000,
  /** Of one job of the kernel library: a product of 1024 × 1024, two seconds of a software adapter with two cores. */
  libraryOperations: 2 ** 31,
  /** Resident memory of one engine process; a kernel of 17 KB has been seen to take 1.7 GB in the compiler. */
  engineProcessBytes: 1536 * MIB,
  /** A tab's engine worker: time for opening one, pause before another one is tried for and what that grows to. */
  engineOpenMs: 30_000,
  engineRetryMs: 250,
  engineRetryMaxMs: 30_000,
  /** Workers of one kind whose devices hang; another is opened when one of these has come to its end. */
  devicesAbandoned: 4,
  /** Of the device's time, that one piece of work may take: what runs ends with its piece when the owner pauses. */
  pieceMs: 100,
  /** Bans that a kernel register keeps, and for how long: by reports of vouched nodes, and by those of public ones. Reports of each kind, and for how long. */
  kernelBans: 10_000,
  kernelBanMs: 7 * 86_400_000,
  kernelPublicBanMs: 86_400_000,
  kernelReports: 50_000,
  kernelReportMs: 86_400_000,
  /** A hub's copy of the bans: how old it may be, how old while the register cannot be reached, how long one reading may take and how soon it is tried again. */
  kernelBansCachedMs: 10_000,
  kernelBansStaleMs: 60_000,
  kernelBansTimeoutMs: 5_000,
  kernelBansRetryMs: 1_000,
  /** Reports that wait in a hub for the next reading. */
  kernelReportsWaiting: 1_000,
  /** New texts, by a tenant with banned kernels, that one hub tries in an hour. */
  kernelTrialsPerHour: 12,
  /** Kernel jobs that have lost a node and not ended. */
  kernelLostJobs: 1_000,
  /** Models */
  modelFileBytes: 2_000 * MIB,
  /** Largest file that Cloudflare serves as a static asset; larger ones come from their sources or from other nodes. */
  servedFileBytes: 25 * MIB,
  /** Session and golden run of one model on one provider. */
  modelLoadMs: 120_000,
  /** One file, from all of its sources together; a source that sends nothing for `modelStallMs` is left. */
  modelFetchMs: 15 * 60_000,
  modelStallMs: 20_000,
  /** Files of one model that are fetched side by side. */
  modelFilesAtOnce: 3,
  /** Times that one source is asked to go on after a cut. */
  modelSourceResumes: 4,
  /** Default bounds of what is kept on disk (Node, tab) and loaded at once, as bytes of files. */
  modelCacheBytes: 8 * KIB * MIB,
  tabCacheBytes: 2 * KIB * MIB,
  modelMemoryBytes: KIB * MIB,
  tabMemoryBytes: 512 * MIB,
  /** A model that was loaded or used this recently is not unloaded for another one. */
  modelKeepMs: 10_000,
  /** Neither is one that was used so often in so long. */
  modelDemandUses: 6,
  modelDemandMs: 60_000,
  /** Loads that hubs may ask of one node, in a minute and at once. */
  linkLoads: 4,
  modelLoadsPerMinute: 12,
  /** Loads that one hub asks for in a minute for one tenant. */
  tenantModelLoads: 8,
  /** Loads that one hub waits for, and how long it does not ask a node again for a model that it could not load. */
  hubModelLoads: 32,
  /** From then on a load that has not ended keeps nobody from trying another node. */
  modelPatienceMs: 15_000,
  modelLoadBackoffMs: 60_000,
  /** The same for a node that had no room beside what it was doing. */
  modelBusyBackoffMs: 2_000,
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
  /** As many as OpenAI takes: clients cut their batches by it. */
  embeddingInputs: 2_048,
  textBytes: 16 * KIB,
  /** Pictures and sound, as files: their bytes, and what they may unfold to. */
  mediaBytes: 8 * MIB,
  imagePixels: 1 << 24,
  imageSide: 8_192,
  /** Unpacked rows of a PNG: sixteen megapixels with four channels of eight bits, and their filters. */
  imageBytes: 72 * MIB,
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
  /** In all, for which the reader of one text may keep the device waiting. */
  textStallMs: 10_000,
  chatTemplateBytes: 64 * KIB,
  /** Expressions that a chat template may evaluate: a few dozen a message. */
  chatTemplateSteps: 100_000,
  /** JSON that text is held to: schemas in one, properties of an object, sizes of arrays, values to choose from, nesting. */
  jsonSchemaNodes: 256,
  jsonProperties: 64,
  jsonItems: 1_024,
  jsonChoices: 256,
  jsonDepth: 16,
  /** Shapes that a chat model remembers, and states of each whose allowed tokens it remembers. */
  jsonGrammars: 8,
  jsonMasks: 128,
  /** Ledger */
  batchReceipts: 10_000,
  batchPolicies: 64,
  batchConsumers: 64,
  /** How long the Ledger waits for the head of one tenant's audit log. */
  logHeadTimeoutMs: 5_000,
  /** Audit log: entries of one page, bundle and call; rows that one search looks at; one export. */
  auditPageEntries: 500,
  /** Entries, jobs or batches of a bundle that are in memory at once; rows that are searched for its policies. */
  auditBundlePage: 250,
  auditPolicyRows: 5_000,
  auditScanEntries: 20_000,
  /** Entries that one erasure names, and items of a batch that are erased in one. */
  auditErasedEntries: 10_000,
  auditErasedItems: 400,
  /** Refusals of one key that are logged one by one in a minute; the rest is counted. */
  auditRefusalsPerMinute: 30,
  /** Kinds of refusals that an isolate gathers for one tenant, tenants it gathers for, and for how long. */
  auditRefusalKinds: 64,
  auditRefusalTenants: 1_000,
  auditRefusalGatherMs: 1_000,
  /** Receipts and entries that one alarm of a tenant erases. */
  retentionSweepRows: 5_000,
  /** HIPAA, 45 CFR 164.316(b)(2)(i): six years. */
  phiAuditDays: 2_192,
  /** An erased job's receipt that a hub still holds is dropped for this long when it comes. */
  erasureMemoryMs: 30 * 86_400_000,
  /** Asynchronous batches (/v1/jobs): items, bytes and lives of one; how many a tenant may keep. */
  jobsItems: 10_000,
  jobsInputBytes: 24 * MIB,
  jobsOutputBytes: 128 * MIB,
  jobsKept: 200,
  /** Of all batches of a tenant together, inputs and results: what each may come to, and once it has ended what it has. */
  jobsKeptBytes: 4 * 1024 * MIB,
  jobsConcurrency: 64,
  /** Inputs and answers of one batch that are on their way at once. */
  jobsInFlightBytes: 32 * MIB,
  jobsItemAttempts: 6,
  /** A batch whose tenant has not been heard for this long sends nothing. */
  jobsAuthorityMs: 30_000,
  jobsRetryMinMs: 250,
  jobsRetryMaxMs: 15_000,
  jobsDeadlineMs: 86_400_000,
  jobsRetentionMinutes: 10_080,
  /** One alarm's work; Cloudflare ends an alarm after 15 minutes. */
  jobsSliceMs: 300_000,
  jobsSliceItems: 500,
  /** A batch is resumed this long after its object was lost at the latest. */
  jobsWatchdogMs: 5_000,
  /** Failed items, with none done, after which the rest is not tried. */
  jobsHopelessItems: 16,
  /** How long a batch whose policy allowed nodes before waits for one to come back. */
  jobsUnsatisfiedMs: 60_000,
  jobsPageItems: 1_000,
  jobsPageBytes: 8 * MIB,
  jobsListeners: 16,
  jobsEventsMs: 900_000,
  /** Bytes of one value in a Durable Object's SQLite: at most 2 MiB with its row. */
  storageChunkBytes: MIB,
  webhookUrlBytes: 2_048,
  webhookTimeoutMs: 10_000,
  webhookAttempts: 8,
  webhookRetryMinMs: 2_000,
  webhookRetryMaxMs: 3_600_000,
} as const
