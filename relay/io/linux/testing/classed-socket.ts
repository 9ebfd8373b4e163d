import { parseAddress } from '../../../stun/address-text.ts'
import { IP_TOS, IPPROTO_IP, IPPROTO_IPV6, IPV6_TCLASS } from '../constants.ts'
import { checked, setsockopt } from '../ffi.ts'
import { Memory } from '../memory.ts'
import { UdpSocketFactory } from '../udp-socket.ts'

const BUFFER_BYTES = 65_536

/** The descriptor of a UDP socket, for Node to use, that sends with this DSCP and ECN. */
export function classedSocket(host: string, port: number, trafficClass: number): number {
  const memory = new Memory(4096)
  const factory = new UdpSocketFactory(memory)
  factory.gather = false
  const bind = parseAddress(host, port)
  if (!bind) throw new Error(`${host} is no literal address`)
  const { fd } = factory.open({ bind, bufferBytes: BUFFER_BYTES })
  const value = memory.take(4)
  memory.u32[value >> 2] = trafficClass
  const [level, name] = bind.family === 4 ? [IPPROTO_IP, IP_TOS] : [IPPROTO_IPV6, IPV6_TCLASS]
  checked('setsockopt', setsockopt(fd, level, name, memory.address(value), 4))
  return fd
}
