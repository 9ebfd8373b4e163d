import net from 'node:net'

/** Bits of libuv's bind: only IPv6, and a port that others of this user with the same bit may bind too. */
const IPV6_ONLY = 1
const REUSE_PORT = 2

/** What `net` binds its own servers with; a number where the system refuses. */
type CreateHandle = (
  address: string,
  port: number,
  family: 4 | 6,
  fd: number | undefined,
  flags: number,
) => object | number

/**
 * A TCP socket, not connected yet, from an address and port that a server listens on with `reusePort`:
 * `localPort` of `net.connect` cannot do that, for want of that option. Undefined where the system or this version
 * of Node cannot: then a connection has another port.
 */
export function socketFrom(address: string, port: number): net.Socket | undefined {
  const { _createServerHandle: createHandle } = net as { _createServerHandle?: CreateHandle }
  if (!createHandle) return undefined
  const family = net.isIPv6(address) ? 6 : 4
  const handle = createHandle(address, port, family, undefined, REUSE_PORT | (family === 6 ? IPV6_ONLY : 0))
  if (typeof handle !== 'object') return undefined
  return new net.Socket({ handle, pauseOnCreate: true } as net.SocketConstructorOpts)
}
