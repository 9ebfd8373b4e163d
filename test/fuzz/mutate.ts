import type { Random } from '../simulation/random.ts'

/** Longest input that a mutation makes. */
const INPUT_BYTES_MAX = 4096
const CHANGES_MAX = 6
/** Numbers at which lengths, counts and signs turn. */
const TURNING = [0, 1, 3, 4, 7, 8, 16, 19, 20, 32, 63, 64, 79, 127, 128, 255]
const TURNING_16 = [0, 1, 0x3fff, 0x4000, 0x4fff, 0x5000, 0x7fff, 0x8000, 0xfffc, 0xffff]

/** A changed copy of `input`; what it takes over comes from `other` and the dictionary. */
export function mutate(
  input: Uint8Array,
  other: Uint8Array,
  dictionary: readonly Uint8Array[],
  random: Random,
): Uint8Array {
  let bytes = input
  for (let changes = 1 + random.below(CHANGES_MAX); changes > 0; changes--) {
    bytes = random.pick(CHANGES)(bytes, other, dictionary, random)
  }
  return bytes.length > INPUT_BYTES_MAX ? bytes.slice(0, INPUT_BYTES_MAX) : bytes
}

type Change = typeof mutate

const flip: Change = (bytes, _other, _dictionary, random) =>
  set(bytes, random, (old) => old ^ (1 << random.below(8)))
const anything: Change = (bytes, _other, _dictionary, random) => set(bytes, random, () => random.below(256))
const turn: Change = (bytes, _other, _dictionary, random) => set(bytes, random, () => random.pick(TURNING))
const near: Change = (bytes, _other, _dictionary, random) =>
  set(bytes, random, (old) => old + random.below(9) - 4)

const turn16: Change = (bytes, _other, _dictionary, random) => {
  const value = random.pick(TURNING_16)
  return paste(bytes, Uint8Array.of(value >>> 8, value & 255), random)
}

const word: Change = (bytes, _other, dictionary, random) =>
  dictionary.length === 0 ? bytes : place(bytes, random.pick(dictionary), random)

const cut: Change = (bytes, _other, _dictionary, random) => {
  const from = random.below(bytes.length + 1)
  return join(bytes.subarray(0, from), bytes.subarray(from + random.below(16)))
}

const shorten: Change = (bytes, _other, _dictionary, random) => bytes.slice(0, random.below(bytes.length + 1))
const repeat: Change = (bytes, _other, _dictionary, random) => insert(bytes, part(bytes, random), random)
const splice: Change = (bytes, other, _dictionary, random) => place(bytes, part(other, random), random)
const cross: Change = (bytes, other, _dictionary, random) =>
  join(bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(random.below(other.length + 1)))

const CHANGES: readonly Change[] = [
  flip,
  anything,
  turn,
  near,
  turn16,
  word,
  word,
  cut,
  shorten,
  repeat,
  splice,
  cross,
]

function set(bytes: Uint8Array, random: Random, value: (old: number) => number): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(value(0))
  const copy = bytes.slice()
  const at = random.below(copy.length)
  copy[at] = value(copy[at]!)
  return copy
}

/** Over what is there, or between it. */
function place(bytes: Uint8Array, piece: Uint8Array, random: Random): Uint8Array {
  return random.chance(0.5) ? paste(bytes, piece, random) : insert(bytes, piece, random)
}

function paste(bytes: Uint8Array, piece: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  return join(bytes.subarray(0, at), piece, bytes.subarray(at + piece.length))
}

function insert(bytes: Uint8Array, piece: Uint8Array, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1)
  return join(bytes.subarray(0, at), piece, bytes.subarray(at))
}

function part(bytes: Uint8Array, random: Random): Uint8Array {
  const from = random.below(bytes.length + 1)
  return bytes.subarray(from, from + 1 + random.below(64))
}

function join(...pieces: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces))
}
