/** Descriptors beyond this number are not noted; a relay opens fewer. */
const DESCRIPTORS_MAX = 1_048_576
const NOBODY = 0

/** Memory for who has opened which descriptor of this process, for all its threads. */
export function ledgerMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(DESCRIPTORS_MAX)
}

/**
 * Which descriptors a thread has opened: they belong to the process and outlive it. Without memory that threads
 * share nothing is noted.
 */
class DescriptorLedger {
  #owners: Uint8Array | undefined
  #owner = NOBODY

  /** `owner` is this thread's number, 1 to 255. */
  share(memory: SharedArrayBuffer, owner: number): void {
    this.#owners = new Uint8Array(memory)
    this.#owner = owner
  }

  /** Hands on what a call that opens a descriptor returned. */
  opened(fd: number): number {
    if (this.#owners && fd >= 0 && fd < DESCRIPTORS_MAX) this.#owners[fd] = this.#owner
    return fd
  }

  /** It is closed, or another thread's. */
  closed(fd: number): void {
    if (this.#owners) this.#owners[fd] = NOBODY
  }
}

export const descriptors = new DescriptorLedger()

/** The descriptors of a thread. */
export function descriptorsOf(memory: SharedArrayBuffer, owner: number): number[] {
  const owners = new Uint8Array(memory)
  const found: number[] = []
  for (let fd = owners.indexOf(owner); fd >= 0; fd = owners.indexOf(owner, fd + 1)) found.push(fd)
  return found
}
