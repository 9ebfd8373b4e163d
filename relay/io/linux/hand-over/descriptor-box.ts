import { rmSync } from 'node:fs'
import {
  AF_UNIX,
  MSG_CMSG_CLOEXEC,
  MSG_CTRUNC,
  MSG_DONTWAIT,
  SCM_RIGHTS,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
} from '../constants.ts'
import { bind, checked, close, recvmmsg, sendmmsg, socket } from '../ffi.ts'
import { Memory } from '../memory.ts'
import { MessageHeaders } from '../message-headers.ts'

/** Descriptors that go by one message; the kernel takes 253. */
const PER_MESSAGE = 200
/** The kernel's queue of messages that nobody has read holds eleven, if its limit was not raised. */
const MESSAGES_MAX = 10
export const DESCRIPTORS_MAX = PER_MESSAGE * MESSAGES_MAX
/** Of `struct sockaddr_un`, the zero at the end included. */
const PATH_BYTES_MAX = 108
const NAME_BYTES = 2 + PATH_BYTES_MAX
const CONTROL_HEADER_BYTES = 16
const CONTROL_BYTES = CONTROL_HEADER_BYTES + 4 * PER_MESSAGE
const MEMORY_BYTES = 4096
/** Only this user, and root, may send to a box. */
const UMASK = 0o177

/** Where another process of the same user puts descriptors: a Unix datagram socket in a folder that both see. */
export class DescriptorBox {
  readonly path: string
  readonly #fd: number
  readonly #letter = new Letter()

  /** Throws what the system says. */
  constructor(path: string) {
    this.path = path
    this.#fd = openSocket()
    const umask = process.umask(UMASK)
    try {
      rmSync(path, { force: true })
      const length = this.#letter.writeName(path)
      checked('bind', bind(this.#fd, this.#letter.nameAddress, length))
    } catch (error) {
      close(this.#fd)
      throw error
    } finally {
      process.umask(umask)
    }
  }

  /** The descriptors that have been put there, in their order. */
  take(): number[] {
    const found: number[] = []
    for (let message = 0; message < MESSAGES_MAX; message++) {
      const taken = this.#letter.receive(this.#fd)
      if (!taken) break
      found.push(...taken)
    }
    return found
  }

  close(): void {
    close(this.#fd)
    rmSync(this.path, { force: true })
  }
}

/** Puts descriptors into the box of another process, which has them besides; throws what the system says. */
export function putDescriptors(path: string, descriptors: readonly number[]): void {
  if (descriptors.length > DESCRIPTORS_MAX)
    throw new Error(`${descriptors.length} sockets are more than can be handed over (${DESCRIPTORS_MAX})`)
  const letter = new Letter()
  const fd = openSocket()
  try {
    letter.address(path)
    for (let next = 0; next < descriptors.length; next += PER_MESSAGE)
      letter.send(fd, descriptors.slice(next, next + PER_MESSAGE))
  } finally {
    close(fd)
  }
}

/** One message with descriptors. */
class Letter {
  readonly #memory = new Memory(MEMORY_BYTES)
  readonly #name = this.#memory.take(NAME_BYTES)
  readonly #byte = this.#memory.take(1)
  readonly #control = this.#memory.take(CONTROL_BYTES)
  readonly #headers = new MessageHeaders(this.#memory, 1, 1)

  constructor() {
    this.#headers.setVector(0, this.#byte, 1)
    this.#headers.setVectors(0, 0, 1)
  }

  get nameAddress(): number {
    return this.#memory.address(this.#name)
  }

  /** Returns the length of the name. */
  writeName(path: string): number {
    const { bytes, u16 } = this.#memory
    const text = Buffer.from(path)
    if (text.length >= PATH_BYTES_MAX) throw new Error(`${path} is too long for the path of a socket`)
    u16[this.#name >> 1] = AF_UNIX
    bytes.set(text, this.#name + 2)
    bytes[this.#name + 2 + text.length] = 0
    return 2 + text.length + 1
  }

  address(path: string): void {
    this.#headers.setName(0, this.#name, this.writeName(path))
  }

  send(fd: number, descriptors: readonly number[]): void {
    const { u32, i32 } = this.#memory
    const control = this.#control >> 2
    u32[control] = CONTROL_HEADER_BYTES + 4 * descriptors.length
    u32[control + 1] = 0
    u32[control + 2] = SOL_SOCKET
    u32[control + 3] = SCM_RIGHTS
    i32.set(descriptors, control + 4)
    this.#headers.setControl(0, this.#control, CONTROL_HEADER_BYTES + 4 * descriptors.length)
    checked('sendmmsg', sendmmsg(fd, this.#headers.address(0), 1, MSG_DONTWAIT))
  }

  /** Undefined where there is no message. */
  receive(fd: number): number[] | undefined {
    const { u32, i32 } = this.#memory
    const control = this.#control >> 2
    this.#headers.setControl(0, this.#control, CONTROL_BYTES)
    if (recvmmsg(fd, this.#headers.address(0), 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, 0) <= 0) return undefined
    const carries = this.#headers.controlLength(0) >= CONTROL_HEADER_BYTES && u32[control + 3] === SCM_RIGHTS
    const count = carries ? (u32[control]! - CONTROL_HEADER_BYTES) >> 2 : 0
    const found = [...i32.subarray(control + 4, control + 4 + count)]
    if ((this.#headers.flags(0) & MSG_CTRUNC) === 0) return found
    for (const descriptor of found) close(descriptor)
    throw new Error(
      'no descriptors are left for the sockets of the other relay: raise the limit of open files',
    )
  }
}

function openSocket(): number {
  return checked('socket', socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
}
