import { ATTRIBUTE } from '../../relay/stun/attribute-types.ts'
import { decode, has } from '../support/stun-message.ts'
import { type Captured, captureBefore } from './capture.ts'
import { type Contender, NotOffered, type Row } from './row.ts'
import { type Protocol, REST_SECRET, type TestServer, USER } from './servers.ts'
import { echoPair, type UclientResult, uclient, uclientWithChannels } from './uclient.ts'

/** Five messages of 100 bytes, five milliseconds apart. */
const SHORT = ['-n', '5', '-z', '5']
/** Over TLS uclient takes one message from each read and forgets the rest, and a server may send several as one record. */
const SINGLE = ['-n', '1']
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const
const AS_USER = ['-u', USER.username, '-w', USER.password]
const AS_REST_USER = ['-u', 'alice', '-W', REST_SECRET]

interface Line {
  readonly what: string
  readonly over: Protocol
  readonly flags: readonly string[]
  readonly client?: 4 | 6
  readonly peer?: 4 | 6
  readonly server?: 'users' | 'rest' | 'tokens'
  readonly credential?: readonly string[]
  /** Where uclient is its own peer. */
  readonly alone?: boolean
  /** An attribute that clients must have been seen to send, over UDP. */
  readonly seen?: number
  /** How many times the bytes sent must come back: `-P` counts both ends of a connection as senders. */
  readonly share?: number
  /** What uclient says where the server does not have what the line needs. */
  readonly notOffered?: { readonly when: RegExp; readonly why: string }
}

const LINES: readonly Line[] = [
  { what: 'indications over UDP', over: 'udp', flags: ['-c', '-s'] },
  { what: 'channels over UDP', over: 'udp', flags: ['-c'] },
  { what: 'indications over TCP', over: 'tcp', flags: ['-t', '-c', '-s'] },
  { what: 'channels over TCP', over: 'tcp', flags: ['-t', '-c'] },
  { what: 'indications over TLS', over: 'tls', flags: [...SINGLE, '-t', '-S', '-c', '-s'] },
  { what: 'channels over TLS', over: 'tls', flags: [...SINGLE, '-t', '-S', '-c'] },
  { what: 'indications over DTLS', over: 'dtls', flags: ['-S', '-c', '-s'] },
  { what: 'channels over DTLS', over: 'dtls', flags: ['-S', '-c'] },
  { what: 'IPv6 end to end', over: 'udp', flags: ['-x', '-c', '-s'], client: 6, peer: 6 },
  { what: 'IPv6 over TCP', over: 'tcp', flags: ['-x', '-t', '-c', '-s'], client: 6, peer: 6 },
  { what: 'an IPv6 relay for an IPv4 client', over: 'udp', flags: ['-x', '-c', '-s'], peer: 6 },
  { what: 'a dual allocation (-Z)', over: 'udp', flags: ['-Z', '-s'] },
  {
    what: 'EVEN-PORT and RESERVATION-TOKEN',
    over: 'udp',
    flags: ['-s'],
    seen: ATTRIBUTE.ReservationToken,
  },
  { what: 'DONT-FRAGMENT (-g)', over: 'udp', flags: ['-c', '-s', '-g'], seen: ATTRIBUTE.DontFragment },
  { what: 'mobility (-M) over UDP', over: 'udp', flags: ['-M', '-c', '-s'], seen: ATTRIBUTE.MobilityTicket },
  {
    what: 'mobility (-M) over TCP, the first connection closed before the second is made',
    over: 'tcp',
    flags: ['-M', '-t', '-c', '-s'],
    notOffered: { when: /error 437/, why: 'an allocation ends with its TCP connection (437)' },
  },
  { what: 'TCP peers (-T) over TCP', over: 'tcp', flags: ['-T'], alone: true },
  { what: 'TCP peers (-T -S) over TLS', over: 'tls', flags: ['-T', '-S'], alone: true },
  { what: 'TCP peers that connect (-P)', over: 'tcp', flags: ['-P'], alone: true, share: 0.5 },
  { what: 'client to client (-y)', over: 'udp', flags: ['-y', '-c', '-s'], alone: true },
  { what: 'padded ChannelData (-D)', over: 'udp', flags: ['-c', '-D', '-l', '99'] },
  { what: 'datagrams of 1400 bytes over TCP', over: 'tcp', flags: ['-t', '-c', '-s', '-l', '1400'] },
  { what: 'twenty clients at once', over: 'udp', flags: ['-c', '-s', '-m', '20'] },
  { what: 'ORIGIN (-o)', over: 'udp', flags: ['-c', '-s', '-o', 'http://example.org'] },
  {
    what: 'a TURN REST credential over UDP',
    over: 'udp',
    flags: ['-c', '-s'],
    server: 'rest',
    credential: AS_REST_USER,
  },
  {
    what: 'a TURN REST credential over TLS',
    over: 'tls',
    flags: [...SINGLE, '-t', '-S', '-c', '-s'],
    server: 'rest',
    credential: AS_REST_USER,
  },
  {
    what: 'ACCESS-TOKEN of RFC 7635 (-J)',
    over: 'udp',
    flags: ['-J', '-c', '-s'],
    server: 'tokens',
    // Nobody whom a password would help.
    credential: ['-u', 'nobody', '-w', 'x'],
    seen: ATTRIBUTE.AccessToken,
  },
]

/** turnutils_uclient: it counts the bytes that come back, and does not look at them. */
export const UCLIENT_ROWS: readonly Row[] = LINES.map((line) => ({
  client: 'turnutils_uclient',
  what: line.what,
  run: (contender) => runLine(line, contender),
}))

async function runLine(line: Line, contender: Contender): Promise<string> {
  const { over, client = 4, peer = 4, server: kind = 'users' } = line
  const server = contender[kind]
  const echo = await echoPair(LOOPBACK[peer])
  const capture = line.seen === undefined ? undefined : await captureBefore(server.port('udp'))
  try {
    const to = line.alone ? [] : ['-e', LOOPBACK[peer], '-r', String(echo.port)]
    const port = capture?.port ?? server.port(over, client)
    const flags = [...(line.credential ?? AS_USER), ...line.flags, ...trust(over, server)]
    const withoutChannels = line.flags.includes('-s') || line.alone
    const run = withoutChannels ? uclient : uclientWithChannels
    const result = await run([...SHORT, ...flags, ...to, '-p', String(port), LOOPBACK[client]])
    judge(line, result)
    if (line.seen !== undefined && !wasSeen(capture?.captured ?? [], line.seen)) {
      throw new NotOffered('uclient was not offered it, and did without')
    }
    return `${result.receivedBytes} bytes`
  } finally {
    echo.close()
    capture?.close()
  }
}

/** Every byte that was sent must have come back. */
function judge({ share = 1, notOffered }: Line, { sentBytes, receivedBytes, output }: UclientResult): void {
  const wanted = sentBytes * share
  if (sentBytes > 0 && receivedBytes >= wanted) return
  if (notOffered?.when.test(output)) throw new NotOffered(notOffered.why)
  const said = output.trim().split('\n').at(-1) ?? ''
  throw new Error(sentBytes === 0 ? said : `${receivedBytes} of ${wanted} bytes`)
}

function wasSeen(captured: readonly Captured[], attribute: number): boolean {
  return captured.some(({ bytes }) => {
    const message = decode(bytes)
    return message !== undefined && has(message, attribute)
  })
}

function trust(over: Protocol, server: TestServer): string[] {
  return over === 'tls' || over === 'dtls' ? ['-E', server.caFile] : []
}
