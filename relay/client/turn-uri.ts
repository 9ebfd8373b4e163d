/** A `turn:` or `turns:` URI, its defaults filled in (RFC 7065 §3). */
export interface TurnUri {
  /** How to reach the server; `turns:` over UDP is DTLS. */
  readonly protocol: 'udp' | 'tcp' | 'tls' | 'dtls'
  /** A host name or an IP literal, IPv6 without its brackets. */
  readonly host: string
  readonly port: number
}

const DEFAULT_PORT = 3478
const DEFAULT_SECURE_PORT = 5349
const URI =
  /^(?<scheme>turns?):(?:\[(?<v6>[0-9a-f:.]+)\]|(?<host>[^[\]:/?#@\s]+))(?::(?<port>\d{1,5}))?(?:\?transport=(?<transport>[\w.~-]+))?$/i
const EXAMPLE = 'turn:turn.example.org:3478?transport=udp or turns:turn.example.org:443?transport=tcp'

/** Reads a TURN URI; throws an Error that says what is wrong with it. Without `transport`, `turn:` is UDP and `turns:` TLS over TCP. */
export function parseTurnUri(text: string): TurnUri {
  const parts = URI.exec(text.trim())?.groups
  if (parts === undefined) throw new Error(`"${text}" is not a TURN URL; write one like ${EXAMPLE}`)
  const secure = parts.scheme?.toLowerCase() === 'turns'
  const transport = parts.transport?.toLowerCase() ?? (secure ? 'tcp' : 'udp')
  if (transport !== 'udp' && transport !== 'tcp') {
    throw new Error(`"${text}" asks for transport "${transport}"; only udp and tcp exist`)
  }
  const port = Number(parts.port ?? (secure ? DEFAULT_SECURE_PORT : DEFAULT_PORT))
  if (port < 1 || port > 65535) throw new Error(`"${text}" has port ${port}; ports go from 1 to 65535`)
  return { protocol: protocolOf(secure, transport), host: (parts.v6 ?? parts.host)!, port }
}

/** Writes a TURN URI with its port and transport (RFC 7065 §3.1). */
export function formatTurnUri(uri: TurnUri): string {
  const host = uri.host.includes(':') ? `[${uri.host}]` : uri.host
  const scheme = uri.protocol === 'tls' || uri.protocol === 'dtls' ? 'turns' : 'turn'
  const transport = uri.protocol === 'udp' || uri.protocol === 'dtls' ? 'udp' : 'tcp'
  return `${scheme}:${host}:${uri.port}?transport=${transport}`
}

function protocolOf(secure: boolean, transport: 'udp' | 'tcp'): TurnUri['protocol'] {
  if (!secure) return transport
  return transport === 'udp' ? 'dtls' : 'tls'
}
