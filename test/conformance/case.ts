import type { Trial } from './trial.ts'
import type { Transport } from './wire.ts'

/** RFC 2119's words; what an RFC states as a fact about a server counts as MUST. */
export type Level = 'MUST' | 'SHOULD' | 'MAY'

/** One rule of an RFC, and how a server is asked whether it keeps it. */
export interface ConformanceCase {
  /** Unique, `topic/rule`. */
  readonly id: string
  /** `RFC 8656 §7.2`. */
  readonly section: string
  readonly level: Level
  /** What is expected, as a sentence. */
  readonly rule: string
  /** Transports it is about; absent: all. */
  readonly over?: readonly Transport[]
  /** Returns what came where the rule is kept; throws `Broken` where it is not, `NotTested` where it cannot be told. */
  run(trial: Trial): Promise<string>
}

/** The server does not keep the rule; the message says what came instead. */
export class Broken extends Error {}

/** The rule cannot be tested here; the message says why. */
export class NotTested extends Error {}

export interface CaseResult {
  readonly id: string
  readonly section: string
  readonly level: Level
  readonly rule: string
  readonly transport: Transport
  readonly outcome: 'pass' | 'fail' | 'skipped'
  /** What came, or why it was skipped. */
  readonly came: string
}
