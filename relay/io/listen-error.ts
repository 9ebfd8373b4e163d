import type { ListenerOptions } from './io.ts'

/** Says in one sentence which listener could not be bound and what to do about it. */
export function listenError(options: ListenerOptions, error: NodeJS.ErrnoException): Error {
  const host = options.address.includes(':') ? `[${options.address}]` : options.address
  const where = `${options.protocol.toUpperCase()} ${host}:${options.port}`
  const why = explain(options, error)
  return Object.assign(new Error(`cannot listen on ${where}: ${why}`, { cause: error }), { code: error.code })
}

function explain({ port, protocol }: ListenerOptions, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${port} is taken; stop the program that uses it (ss -lnp${protocol === 'udp' || protocol === 'dtls' ? 'u' : 't'}) or choose another port`
    case 'EACCES':
      return `port ${port} needs a privilege; grant CAP_NET_BIND_SERVICE, lower net.ipv4.ip_unprivileged_port_start, or choose a port from 1024 up`
    case 'EADDRNOTAVAIL':
      return 'this host has no such address; name one that "ip addr" shows, or 0.0.0.0 or :: for all'
    case 'EAFNOSUPPORT':
      return 'this host has no IPv6; leave IPv6 addresses out'
    case 'EMFILE':
      return 'this process has too many files open; raise its limit (ulimit -n)'
    default:
      return error.message
  }
}
