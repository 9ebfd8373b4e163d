import { TransportAddress } from '../../../stun/address.ts'
import {
  AF_INET,
  AF_INET6,
  EAGAIN,
  EMFILE,
  ENFILE,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SHUT_WR,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from '../constants.ts'
import { descriptors } from '../descriptors.ts'
import {
  accept4,
  bind,
  checked,
  close,
  errno,
  getsockname,
  listen,
  recv,
  send,
  setsockopt,
  shutdown,
  socket,
} from '../ffi.ts'
import type { Memory } from '../memory.ts'
import { readSockaddr, SOCKADDR_BYTES, writeSockaddr } from '../sockaddr.ts'

const BACKLOG = 1024
const KEEP_ALIVE_SECONDS = 60

/** One descriptor of a TCP socket, given back once. */
export class TcpSocket {
  readonly fd: number
  readonly #memory: Memory
  #open = true

  constructor(fd: number, memory: Memory) {
    this.fd = fd
    this.#memory = memory
  }

  get open(): boolean {
    return this.#open
  }

  /** Bytes read, 0 at the end of the stream, -1 where there are none now, -2 where the connection is broken. */
  receive(offset: number, room: number): number {
    if (!this.#open) return -2
    const length = recv(this.fd, this.#memory.span(offset, room), room, MSG_DONTWAIT)
    if (length >= 0) return length
    return errno() === EAGAIN ? -1 : -2
  }

  /** Bytes taken, 0 where the system takes none now, -1 where the connection is broken. */
  send(offset: number, length: number): number {
    if (!this.#open) return -1
    const sent = send(this.fd, this.#memory.span(offset, length), length, MSG_DONTWAIT | MSG_NOSIGNAL)
    if (sent >= 0) return sent
    return errno() === EAGAIN ? 0 : -1
  }

  /** No more will be sent. */
  shutdown(): void {
    if (this.#open) shutdown(this.fd, SHUT_WR)
  }

  /** Gives the descriptor away. */
  release(): number {
    this.#open = false
    descriptors.closed(this.fd)
    return this.fd
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    close(this.fd)
  }
}

/** Opens listening sockets and accepts from them; what it needs for that lies in a `Memory`. */
export class TcpSocketFactory {
  readonly #memory: Memory
  readonly #name: number
  readonly #value: number

  constructor(memory: Memory) {
    this.#memory = memory
    this.#name = memory.take(SOCKADDR_BYTES)
    this.#value = memory.take(4)
  }

  /** Throws what the system says, with its code. For `shared` see `ListenerOptions`. */
  listen(at: TransportAddress, shared?: 'first' | 'joined'): TcpSocket {
    // Where somebody has the port, a socket that would not share it cannot be bound.
    if (shared === 'first' && at.port !== 0) this.listen(at).close()
    const ipv6 = at.family === 6
    const flags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC
    const fd = checked('socket', socket(ipv6 ? AF_INET6 : AF_INET, flags, 0))
    try {
      if (ipv6) checked('setsockopt', this.#set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
      checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
      if (shared) checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
      // What is accepted inherits these.
      this.#set(fd, IPPROTO_TCP, TCP_NODELAY, 1)
      this.#set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
      this.#set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE_SECONDS)
      const length = writeSockaddr(this.#memory, this.#name, at)
      checked('bind', bind(fd, this.#memory.address(this.#name), length))
      checked('listen', listen(fd, BACKLOG))
      return new TcpSocket(fd, this.#memory)
    } catch (error) {
      close(fd)
      throw error
    }
  }

  /** Takes over a socket that was opened before. */
  adopt(fd: number): TcpSocket {
    return new TcpSocket(descriptors.opened(fd), this.#memory)
  }

  share({ fd }: TcpSocket): void {
    checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
  }

  /** The next connection, with its client in `remote`; `none`, or `exhausted` where descriptors have run out. */
  accept(listener: TcpSocket, remote: TransportAddress): TcpSocket | 'none' | 'exhausted' {
    const memory = this.#memory
    memory.u32[this.#value >> 2] = SOCKADDR_BYTES
    const fd = accept4(
      listener.fd,
      memory.address(this.#name),
      memory.address(this.#value),
      SOCK_NONBLOCK | SOCK_CLOEXEC,
    )
    if (fd < 0) return [EMFILE, ENFILE].includes(errno()) ? 'exhausted' : 'none'
    readSockaddr(memory, this.#name, remote)
    return new TcpSocket(fd, memory)
  }

  /** The address that a client connected to. */
  localOf({ fd }: TcpSocket): TransportAddress {
    const memory = this.#memory
    const local = new TransportAddress()
    memory.u32[this.#value >> 2] = SOCKADDR_BYTES
    checked('getsockname', getsockname(fd, memory.address(this.#name), memory.address(this.#value)))
    readSockaddr(memory, this.#name, local)
    return local
  }

  #set(fd: number, level: number, name: number, value: number): number {
    this.#memory.i32[this.#value >> 2] = value
    return setsockopt(fd, level, name, this.#memory.address(this.#value), 4)
  }
}
