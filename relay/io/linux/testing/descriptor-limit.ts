import koffi from 'koffi'

const library = koffi.load(null)
const getLimit: (resource: number, into: BigUint64Array) => number = library.func(
  'int getrlimit(int, void *)',
)
const setLimit: (resource: number, from: BigUint64Array) => number = library.func(
  'int setrlimit(int, void *)',
)
const RLIMIT_NOFILE = 7

/** Lets this process open no descriptor from `limit` on; returns what lets it again. */
export function limitDescriptors(limit: number): () => void {
  const before = new BigUint64Array(2)
  if (getLimit(RLIMIT_NOFILE, before) !== 0) throw new Error('getrlimit failed')
  if (setLimit(RLIMIT_NOFILE, BigUint64Array.of(BigInt(limit), before[1]!)) !== 0)
    throw new Error('setrlimit failed')
  return () => void setLimit(RLIMIT_NOFILE, before)
}
