/** Something that takes any bytes: it throws where what they lead to is wrong. */
export interface Target {
  /** Inputs that a fuzzing run begins with. */
  readonly seeds: readonly Uint8Array[]
  /** Pieces that chance would not find. */
  readonly dictionary: readonly Uint8Array[]
  /** Scripts whose coverage counts. */
  readonly code: RegExp
  /**
   * Must do the same whenever it gets the same bytes. May return names of the states that it passed through: an
   * input that reaches a new one is kept, as one that runs new code is.
   */
  run(input: Uint8Array): ReadonlySet<string> | undefined
}
