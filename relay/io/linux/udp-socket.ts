import { TransportAddress } from '../../stun/address.ts'
import type { SharedSocket } from '../adoption.ts'
import {
  AF_INET,
  AF_INET6,
  IP_MTU_DISCOVER,
  IP_RECVERR,
  IP_RECVTOS,
  IPPROTO_IP,
  IPPROTO_IPV6,
  IPV6_MTU_DISCOVER,
  IPV6_RECVERR,
  IPV6_RECVTCLASS,
  IPV6_V6ONLY,
  PMTUDISC_DO,
  PMTUDISC_DONT,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_SNDBUF,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  SOL_UDP,
  UDP_GRO,
} from './constants.ts'
import { descriptors } from './descriptors.ts'
import { bind, checked, close, connect, getsockname, setsockopt, socket } from './ffi.ts'
import type { Memory } from './memory.ts'
import { readSockaddr, SOCKADDR_BYTES, writeSockaddr } from './sockaddr.ts'

export interface UdpSocketOptions {
  /** Kept, where the system does not choose the port. */
  readonly bind: TransportAddress
  /** What the kernel may hold each way; the system's limit caps it where the privilege to pass it is missing. */
  readonly bufferBytes: number
  /** The DF bit of what is sent; undefined leaves it to the system. */
  readonly dontFragment?: boolean
  /** See `ListenerOptions`. */
  readonly shared?: 'first' | 'joined' | undefined
  /** Whose datagrams alone it is to have; what came before it was connected may be anybody's. */
  readonly connect?: TransportAddress
  /** Whether it may have the address and port of others that may be shared in the same way (SO_REUSEADDR). */
  readonly beside?: boolean
  /** Whether it keeps what ICMP says of its datagrams, for an `ErrorQueue` to read. */
  readonly keepErrors?: boolean
}

/** How often a socket is opened beside others that forbid it again. */
const BESIDE_TRIES_MAX = 64

type Client = Pick<UdpSocketOptions, 'bind' | 'bufferBytes'> & { readonly connect: TransportAddress }

/** Opens and binds UDP sockets; what it needs for that lies in a `Memory`. */
export class UdpSocketFactory {
  /** Whether the kernel may hand over runs of datagrams as one (UDP_GRO), of sockets from now on. */
  gather = true
  readonly #memory: Memory
  readonly #name: number
  readonly #value: number

  constructor(memory: Memory) {
    this.#memory = memory
    this.#name = memory.take(SOCKADDR_BYTES)
    this.#value = memory.take(4)
  }

  /** Throws what the system says, with its code. */
  open(options: UdpSocketOptions): UdpSocket {
    // Where somebody has the port, a socket that would not share it cannot be bound.
    if (options.shared === 'first' && options.bind.port !== 0)
      this.open({ bind: options.bind, bufferBytes: 0 }).close()
    const ipv6 = options.bind.family === 6
    const fd = checked(
      'socket',
      socket(ipv6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    )
    try {
      this.#configure(fd, ipv6, options)
      const length = writeSockaddr(this.#memory, this.#name, options.bind)
      checked('bind', bind(fd, this.#memory.address(this.#name), length))
      if (options.shared) this.#set(fd, SOL_SOCKET, SO_REUSEADDR, 0)
      if (options.connect) this.#connect(fd, options.connect)
      // The system chooses a port, and the address of a connected socket.
      const chosen = options.bind.port === 0 || options.connect !== undefined
      const local = chosen ? this.#localOf(fd) : options.bind
      return new UdpSocket(fd, local, options.keepErrors ?? false)
    } catch (error) {
      close(fd)
      throw error
    }
  }

  /**
   * A socket for one client on the address and port of listeners, which goes before them for what that client sends.
   * It is none of their group (SO_REUSEPORT), whose size decides where the kernel sends the other clients. For that
   * the listeners let others have their port, for the moment of the bind alone: any user could take it.
   */
  openBeside(listeners: readonly SharedSocket[], options: Client): UdpSocket {
    for (let tries = 1; ; tries++) {
      for (const { descriptor } of listeners) this.#set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
      try {
        return this.#openUnheard(options) ?? this.open({ ...options, beside: true })
      } catch (error) {
        // Another loop may have taken its permission back.
        if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || tries === BESIDE_TRIES_MAX) throw error
      } finally {
        for (const { descriptor } of listeners) this.#set(descriptor, SOL_SOCKET, SO_REUSEADDR, 0)
      }
    }
  }

  /**
   * Before it is connected a socket on an unspecified address is given nothing that one on an address of its own may
   * have; when it is, it gets the address that the system's routes choose: undefined where that is another one.
   */
  #openUnheard(options: Client): UdpSocket | undefined {
    const anywhere = new TransportAddress()
    anywhere.family = options.bind.family
    anywhere.port = options.bind.port
    try {
      const socket = this.open({ ...options, bind: anywhere, beside: true })
      if (socket.local.equals(options.bind)) return socket
      socket.close()
    } catch (error) {
      // Another process has the port on another address, or there is no route.
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EMFILE' || code === 'ENFILE') throw error
    }
    return undefined
  }

  /** Takes over a socket that was opened before, maybe by an older version. */
  adopt(fd: number): UdpSocket {
    const adopted = new UdpSocket(descriptors.opened(fd), this.#localOf(fd), false)
    this.#tellClass(fd, adopted.local.family === 6)
    return adopted
  }

  /**
   * Lets sockets of clients go before one that was bound after them: before Linux 6.13 it would go before those, unless
   * one of its group has been connected.
   */
  rankBehindClients({ local }: UdpSocket): void {
    this.open({ bind: local, bufferBytes: 0, shared: 'joined', connect: local }).close()
  }

  /** Lets further sockets of this user have the same address and port. */
  share({ fd }: UdpSocket): void {
    checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
  }

  #connect(fd: number, to: TransportAddress): void {
    const length = writeSockaddr(this.#memory, this.#name, to)
    checked('connect', connect(fd, this.#memory.address(this.#name), length))
  }

  #configure(fd: number, ipv6: boolean, options: UdpSocketOptions): void {
    const { beside, bufferBytes, dontFragment, keepErrors, shared } = options
    if (ipv6) checked('setsockopt', this.#set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1))
    if (shared) checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEPORT, 1))
    // Clients' own sockets share a port by this, and are none of those that the kernel spreads clients over.
    if (shared || beside) checked('setsockopt', this.#set(fd, SOL_SOCKET, SO_REUSEADDR, 1))
    if (this.#set(fd, SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes) < 0)
      this.#set(fd, SOL_SOCKET, SO_RCVBUF, bufferBytes)
    if (this.#set(fd, SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes) < 0)
      this.#set(fd, SOL_SOCKET, SO_SNDBUF, bufferBytes)
    // Older kernels hand over datagrams one by one.
    if (this.gather) this.#set(fd, SOL_UDP, UDP_GRO, 1)
    this.#tellClass(fd, ipv6)
    if (keepErrors && ipv6) this.#set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1)
    else if (keepErrors) this.#set(fd, IPPROTO_IP, IP_RECVERR, 1)
    if (dontFragment === undefined) return
    const discover = dontFragment ? PMTUDISC_DO : PMTUDISC_DONT
    if (ipv6) this.#set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, discover)
    else this.#set(fd, IPPROTO_IP, IP_MTU_DISCOVER, discover)
  }

  /** Has each datagram come with its DSCP and ECN. */
  #tellClass(fd: number, ipv6: boolean): void {
    if (ipv6) this.#set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1)
    else this.#set(fd, IPPROTO_IP, IP_RECVTOS, 1)
  }

  #set(fd: number, level: number, name: number, value: number): number {
    this.#memory.i32[this.#value >> 2] = value
    return setsockopt(fd, level, name, this.#memory.address(this.#value), 4)
  }

  #localOf(fd: number): TransportAddress {
    const memory = this.#memory
    memory.u32[this.#value >> 2] = SOCKADDR_BYTES
    checked('getsockname', getsockname(fd, memory.address(this.#name), memory.address(this.#value)))
    const local = new TransportAddress()
    readSockaddr(memory, this.#name, local)
    return local
  }
}

/** One bound UDP socket, and the datagrams that wait to leave it together. */
export class UdpSocket {
  readonly fd: number
  readonly local: TransportAddress
  /** An error that ICMP brought makes the next call on it fail, whatever that call is about. */
  readonly keepsErrors: boolean
  /** First and last datagram in the send queue; -1: none. */
  queueHead = -1
  queueTail = -1
  #open = true

  constructor(fd: number, local: TransportAddress, keepsErrors: boolean) {
    this.fd = fd
    this.local = local
    this.keepsErrors = keepsErrors
  }

  get open(): boolean {
    return this.#open
  }

  close(): void {
    if (!this.#open) return
    this.#open = false
    close(this.fd)
  }
}
