/** What a simulated day is counted by. */

/** Counts of one piece of the day. */
export interface Piece {
  readonly hourUtc: number
  readonly seconds: number
  requests: number
  /** Requests that a hub took, and those that the first hub took. */
  answered: number
  answeredByFirst: number
  hubCalls: number
  /** Requests whose hub had no free slot for them. */
  waits: number
  publications: number
  publishedBytes: number
  /** Readings of the isolates that answer requests, and what they read. */
  readings: number
  readBytes: number
  /** Readings before a node was given a hub. */
  admissions: number
  admissionReadings: number
  admissionBytes: number
  /** Hubs that a joining node tried after the first. */
  secondTries: number
  nodes: number
  hubs: number
}

export function newPiece(hourUtc: number, seconds: number): Piece {
  return {
    hourUtc,
    seconds,
    requests: 0,
    answered: 0,
    answeredByFirst: 0,
    hubCalls: 0,
    waits: 0,
    publications: 0,
    publishedBytes: 0,
    readings: 0,
    readBytes: 0,
    admissions: 0,
    admissionReadings: 0,
    admissionBytes: 0,
    secondTries: 0,
    nodes: 0,
    hubs: 0,
  }
}

export interface Day {
  readonly pieces: readonly Piece[]
  /**
   * Largest difference of a hub from the mean of its region, in per cent; one for each region and piece. Hubs that
   * were opened during the day are left out.
   */
  readonly spreadPercent: readonly number[]
  /** Nodes of a hub that was opened two minutes ago or earlier, in per cent of that mean; once for each piece. */
  readonly openedPercent: readonly number[]
  /** Time from a node's joining until an isolate has a summary with it. */
  readonly knownMs: readonly number[]
  /** Time from a node's joining until its first work. */
  readonly firstWorkMs: readonly number[]
  /** Time until a hub that drains is empty. */
  readonly drainedMs: readonly number[]
  /** Nodes that were sent to another hub. */
  readonly moved: number
}
