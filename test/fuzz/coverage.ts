import { type Profiler, Session } from 'node:inspector'

/** Which characters of the code under test have run so far, by V8's precise block coverage. */
export class Coverage {
  readonly #session = new Session()
  readonly #code: RegExp
  readonly #ran = new Map<string, Uint8Array>()
  #count = 0

  /** Matches the URL of every script that counts. */
  constructor(code: RegExp) {
    this.#code = code
    this.#session.connect()
    this.#session.post('Profiler.enable')
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Characters that have run. */
  get count(): number {
    return this.#count
  }

  /** How many characters ran for the first time since the last call; `keep` makes them count as known. */
  take(keep: boolean): number {
    let fresh = 0
    this.#session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
      for (const script of result) if (this.#code.test(script.url)) fresh += this.#compare(script, keep)
    })
    if (keep) this.#count += fresh
    return fresh
  }

  close(): void {
    this.#session.disconnect()
  }

  #compare({ url, functions }: Profiler.ScriptCoverage, keep: boolean): number {
    const length = Math.max(...functions.flatMap(({ ranges }) => ranges.map(({ endOffset }) => endOffset)))
    const now = new Uint8Array(length)
    // Outer before inner: what an inner range says of its characters holds.
    for (const { ranges } of functions) {
      for (const { startOffset, endOffset, count } of ranges)
        now.fill(count > 0 ? 1 : 0, startOffset, endOffset)
    }
    const before = this.#ran.get(url) ?? new Uint8Array(0)
    const known = before.length >= length ? before : new Uint8Array(length)
    if (known !== before) known.set(before)
    let fresh = 0
    for (let at = 0; at < length; at++) {
      if (now[at] === 0 || known[at] !== 0) continue
      fresh++
      if (keep) known[at] = 1
    }
    this.#ran.set(url, known)
    return fresh
  }
}
