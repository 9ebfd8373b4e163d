import { Random } from '../simulation/random.ts'
import { Coverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import type { Target } from './target.ts'

/** Inputs that run between two looks at the coverage, which costs what dozens of inputs do. */
const BATCH = 128
/** The newest inputs of the corpus are mutated half of the time: they lead where nobody was. */
const NEWEST = 16
/** An input that takes longer keeps other clients waiting. */
const SLOW_MS = 1_000

interface Finding {
  readonly input: Uint8Array
  readonly error: unknown
}

export interface FuzzResult {
  /** Every input that ran code, or reached a state, which no earlier one had. */
  readonly corpus: readonly Uint8Array[]
  readonly runs: number
  /** Characters of the code under test that ran. */
  readonly covered: number
  readonly finding: Finding | undefined
}

/** Mutates what ran new code or reached a new state again and again, until time is up or an input is a finding. */
export class Fuzzer {
  readonly #target: Target
  readonly #random: Random
  readonly #coverage: Coverage
  readonly #corpus: Uint8Array[] = []
  readonly #states = new Set<string>()
  #runs = 0
  #finding: Finding | undefined

  constructor(target: Target, seed: number) {
    this.#target = target
    this.#random = new Random(seed)
    this.#coverage = new Coverage(target.code)
  }

  run(start: readonly Uint8Array[], seconds: number, progress: (result: FuzzResult) => void): FuzzResult {
    const end = performance.now() + seconds * 1000
    let tellAt = 0
    this.#coverage.take(true)
    for (const input of start) this.#explore([input])
    while (performance.now() < end && !this.#finding) {
      this.#explore(Array.from({ length: BATCH }, () => this.#next()))
      if (performance.now() < tellAt) continue
      tellAt = performance.now() + 10_000
      progress(this.#result())
    }
    this.#coverage.close()
    return this.#result()
  }

  #result(): FuzzResult {
    return {
      corpus: this.#corpus,
      runs: this.#runs,
      covered: this.#coverage.count,
      finding: this.#finding && { ...this.#finding, input: this.#smallest(this.#finding.input) },
    }
  }

  #next(): Uint8Array {
    const corpus = this.#corpus
    if (corpus.length === 0) return this.#random.bytes(this.#random.below(64))
    const base = this.#random.pick(this.#random.chance(0.5) ? corpus.slice(-NEWEST) : corpus)
    return mutate(base, this.#random.pick(corpus), this.#target.dictionary, this.#random)
  }

  /** Runs inputs and, where new code ran, halves them until it is known which ones ran it. */
  #explore(inputs: readonly Uint8Array[]): void {
    for (const input of inputs) {
      if (this.#finding) return
      this.#try(input)
    }
    if (this.#coverage.take(inputs.length === 1) === 0) return
    if (inputs.length === 1) {
      if (this.#corpus.at(-1) !== inputs[0]) this.#corpus.push(inputs[0]!)
      return
    }
    const half = inputs.length >>> 1
    this.#explore(inputs.slice(0, half))
    this.#explore(inputs.slice(half))
  }

  #try(input: Uint8Array): void {
    this.#runs++
    const error = this.#fails(input)
    if (error !== undefined) this.#finding = { input, error }
  }

  #fails(input: Uint8Array): unknown {
    const began = process.threadCpuUsage()
    try {
      this.#note(input, this.#target.run(input.slice()))
    } catch (error) {
      return error ?? new Error('threw nothing')
    }
    const { user, system } = process.threadCpuUsage(began)
    const tookMs = (user + system) / 1000
    return tookMs > SLOW_MS ? new Error(`took ${tookMs.toFixed(0)} ms`) : undefined
  }

  #note(input: Uint8Array, states: ReturnType<Target['run']>): void {
    const known = this.#states.size
    for (const state of states ?? []) this.#states.add(state)
    if (this.#states.size > known) this.#corpus.push(input)
  }

  /** What is left of a finding when everything that it does not need is cut out. */
  #smallest(input: Uint8Array): Uint8Array {
    let smallest = input
    for (let size = smallest.length >>> 1; size > 0; size >>>= 1) {
      for (let at = 0; at + size <= smallest.length; ) {
        const shorter = new Uint8Array(
          Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]),
        )
        if (this.#fails(shorter) === undefined) at += size
        else smallest = shorter
      }
    }
    return smallest
  }
}
