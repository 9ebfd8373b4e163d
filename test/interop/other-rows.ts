import { execFile } from 'node:child_process'
import { Connection } from 'werift-ice'
import type { Row } from './row.ts'
import { type TestServer, USER } from './servers.ts'

const TIMEOUT_MS = 20_000
const WERIFT_TRANSPORTS = ['udp', 'tcp', 'tls'] as const
const MESSAGES = 64
const MESSAGE_BYTES = 1000

/** turnutils_natdiscovery and werift-ice. */
export const OTHER_ROWS: readonly Row[] = [
  natDiscovery('mapping (-m)', ['-m'], /Independent Mapping!|No NAT!/),
  natDiscovery('filtering (-f)', ['-f'], /Independent Filtering!|No NAT!/),
  natDiscovery('mapping of fragments (-m -P)', ['-m', '-P'], /Independent Mapping!|No NAT!/),
  ...WERIFT_TRANSPORTS.map(
    (transport): Row => ({
      client: 'werift-ice',
      what: `two agents over ${transport.toUpperCase()}`,
      run: ({ users }) => withDeadline(weriftCall(users, transport)),
    }),
  ),
]

function natDiscovery(what: string, flags: readonly string[], found: RegExp): Row {
  return {
    client: 'turnutils_natdiscovery',
    what,
    run: ({ users }) =>
      new Promise((resolve, reject) => {
        const args = [...flags, '-L', '127.0.0.1', '-p', String(users.natPort), '127.0.0.1']
        execFile('turnutils_natdiscovery', args, { timeout: TIMEOUT_MS }, (_, stdout, stderr) => {
          const line = found.exec(stdout + stderr)?.[0]
          if (line) resolve(line)
          else reject(new Error((stdout + stderr).trim().split('\n').at(-1) || 'it found nothing in time'))
        })
      }),
  }
}

/** Datagrams both ways between two agents that use relays only, each compared. */
async function weriftCall(
  server: TestServer,
  transport: (typeof WERIFT_TRANSPORTS)[number],
): Promise<string> {
  const [alice, bob] = [true, false].map(
    (controlling) =>
      new Connection(controlling, {
        forceTurn: true,
        turnServer: ['127.0.0.1', server.port(transport)],
        turnUsername: USER.username,
        turnPassword: USER.password,
        turnTransport: transport,
        turnTlsOptions: { rejectUnauthorized: false },
      }),
  ) as [Connection, Connection]
  try {
    await Promise.all([introduce(alice, bob), introduce(bob, alice)])
    await Promise.all([alice.connect(), bob.connect()])
    await talk(alice, bob)
    await talk(bob, alice)
    return `${2 * MESSAGES * MESSAGE_BYTES} bytes, each compared`
  } finally {
    await Promise.all([alice.close(), bob.close()])
  }
}

async function introduce(from: Connection, to: Connection): Promise<void> {
  await from.gatherCandidates()
  to.setRemoteParams({ iceLite: false, usernameFragment: from.localUsername, password: from.localPassword })
  for (const candidate of from.localCandidates) await to.addRemoteCandidate(candidate)
  await to.addRemoteCandidate(undefined)
}

async function talk(from: Connection, to: Connection): Promise<void> {
  for (let i = 0; i < MESSAGES; i++) {
    const sent = Buffer.alloc(MESSAGE_BYTES, i)
    const heard = new Promise<Buffer>((resolve) => {
      to.onData.once((data) => resolve(data))
    })
    await from.send(sent)
    if (!(await heard).equals(sent)) throw new Error(`message ${i} came changed`)
  }
}

function withDeadline(call: Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${TIMEOUT_MS} ms`)), TIMEOUT_MS)
  })
  return Promise.race([call, late]).finally(() => clearTimeout(timer))
}
