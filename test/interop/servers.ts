import { execFileSync, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { TestAuthority } from '../cluster/pki.ts'

export const REALM = 'turn.example.org'
export const USER = { username: 'user', password: 'password' }
export const OTHER_USER = { username: 'other', password: 'other-password' }
/** A key of the ring, for TURN REST credentials. */
export const REST_SECRET = 'rest-secret'

/** What tokens of RFC 7635 are made for. */
const TOKEN_SERVER = 'turn.test'
const KEY_BYTES = { A128GCM: 16, A256GCM: 32 } as const
/** The keys that uclient has in it; it takes their leading bytes, and one of them at random. */
const UCLIENT_KEYS = [
  { id: 'north', algorithm: 'A256GCM', text: 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK' },
  { id: 'union', algorithm: 'A128GCM', text: 'MTIzNDU2Nzg5MDEyMzQ1Ngo=' },
  { id: 'oldempire', algorithm: 'A256GCM', text: 'MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK' },
] as const
/** The same, as our configuration has them. */
export const TOKEN_KEYS = UCLIENT_KEYS.map(({ id, algorithm, text }) => {
  const key = Buffer.from(text, 'base64').subarray(0, KEY_BYTES[algorithm])
  return { id, algorithm, key: key.toString('base64') }
})

const START_TIMEOUT_MS = 15_000
const PORTS = { min: 10_000, max: 19_999 }
const PORT_ATTEMPTS_MAX = 100
const LOOPBACK = { 4: '127.0.0.1', 6: '::1' } as const

export type Protocol = 'udp' | 'tcp' | 'tls' | 'dtls'

/** A TURN server on loopback for clients that we did not write. */
export interface TestServer {
  readonly name: 'turnfleet' | 'coturn'
  readonly version: string
  /** The authority of its certificate, which is for 127.0.0.1, ::1 and localhost. */
  readonly caFile: string
  /** The port of a protocol on 127.0.0.1, or with `6` on ::1. */
  port(protocol: Protocol, family?: 4 | 6): number
  /** A UDP port on 127.0.0.1 that takes part in NAT behaviour discovery (RFC 5780). */
  readonly natPort: number
  stop(): Promise<void>
}

/** Our relay as a process, with all that it can do turned on. */
export async function startTurnfleet(change: Partial<RelayConfigInput> = {}): Promise<TestServer> {
  const child = new RelayChild()
  const files = await writeCertificate(child.folder)
  const all = ['udp', 'tcp', 'tls', 'dtls'] as const
  const protocols = all.filter((one) => one !== 'dtls' || change.datapath !== 'portable')
  const natPorts = await freePorts(2)
  child.writeConfig({
    ...loopbackConfig(),
    realm: REALM,
    listeners: [4, 6].flatMap((family) =>
      protocols.map((protocol) => ({ protocol, address: LOOPBACK[family as 4 | 6], port: 0 })),
    ),
    relay: { addresses: [{ advertise: '127.0.0.1' }, { advertise: '::1' }] },
    tls: { certFile: files.cert, keyFile: files.key },
    credentials: {
      users: [USER, OTHER_USER],
      keys: [{ id: 'k1', secret: REST_SECRET }],
      thirdParty: { serverName: TOKEN_SERVER, keys: TOKEN_KEYS },
    },
    mobility: true,
    peers: { allow: ['127.0.0.0/8', '::1/128'], tcp: true },
    natDiscovery: { addresses: [{ advertise: '127.0.0.1' }, { advertise: '127.0.0.2' }], ports: natPorts },
    limits: { allocationsPerUser: 4000 },
    ...change,
  })
  child.spawn()
  const { listeners } = await child.ready()
  const version = String((await child.line(({ msg }) => msg === 'ready')).version)
  return {
    name: 'turnfleet',
    version,
    caFile: files.ca,
    natPort: natPorts[0]!,
    port: (protocol, family = 4) =>
      listeners.find(
        (one) =>
          one.protocol === protocol && one.address === LOOPBACK[family] && !natPorts.includes(one.port),
      )!.port,
    stop: () => child.stop(),
  }
}

/** coturn with all that it can do turned on, but one kind of credentials: it does not take several beside each other. */
export async function startCoturn(
  credentials: 'users' | 'rest' | 'tokens' = 'users',
  flags: readonly string[] = [],
): Promise<TestServer> {
  const folder = mkdtempSync(join(tmpdir(), 'turnfleet-coturn-'))
  const files = await writeCertificate(folder)
  const [plain, alternate, secure] = await freePorts(3)
  const database = join(folder, 'turndb')
  const who =
    credentials === 'rest'
      ? ['--use-auth-secret', `--static-auth-secret=${REST_SECRET}`]
      : ['--lt-cred-mech', ...[USER, OTHER_USER].map((one) => `--user=${one.username}:${one.password}`)]
  if (credentials === 'tokens') {
    who.push('--oauth', `--server-name=${TOKEN_SERVER}`)
    writeTokenKeys(database)
  }
  const child = spawn(
    'turnserver',
    [
      ...['-n', '--no-cli', '--log-file=stdout', '--simple-log', '--allow-loopback-peers', '--mobility'],
      ...[
        '--listening-ip=127.0.0.1',
        '--listening-ip=127.0.0.2',
        '--listening-ip=::1',
        '--relay-ip=127.0.0.1',
        '--relay-ip=::1',
      ],
      ...[`--listening-port=${plain}`, `--alt-listening-port=${alternate}`, `--tls-listening-port=${secure}`],
      ...[`--cert=${files.cert}`, `--pkey=${files.key}`, `--realm=${REALM}`, ...who],
      ...[`--pidfile=${join(folder, 'pid')}`, `--userdb=${database}`, ...flags],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  const stop = async () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await new Promise<void>((resolve, reject) => {
      let output = ''
      const fail = (why: string) => reject(new Error(`coturn ${why}: ${output.slice(-2000)}`))
      const timer = setTimeout(() => fail('was not ready in time'), START_TIMEOUT_MS)
      child.once('error', () => fail('could not be started: install the Debian package coturn'))
      child.once('close', () => fail('ended'))
      child.stdout.on('data', (data) => {
        if (output.length < 100_000) output += String(data)
        if (!/\(admin thread\)/.test(output)) return
        clearTimeout(timer)
        resolve()
      })
      child.stderr.resume()
    })
  } catch (error) {
    await stop()
    throw error
  }
  return {
    name: 'coturn',
    version: coturnVersion(),
    caFile: files.ca,
    natPort: plain!,
    port: (protocol) => (protocol === 'tls' || protocol === 'dtls' ? secure! : plain!),
    stop,
  }
}

/** Tables of coturn's own form with the keys that its client has. */
function writeTokenKeys(file: string): void {
  const database = new DatabaseSync(file)
  database.exec(`CREATE TABLE oauth_key (kid varchar(128) PRIMARY KEY, ikm_key varchar(256), timestamp bigint,
    lifetime integer, as_rs_alg varchar(64), realm varchar(127))`)
  const insert = database.prepare('INSERT INTO oauth_key VALUES (?, ?, 0, 0, ?, ?)')
  for (const { id, algorithm, text } of UCLIENT_KEYS) insert.run(id, text, algorithm, REALM)
  database.close()
}

/** The version of coturn and of its clients that are installed. */
export function coturnVersion(): string {
  return execFileSync('turnserver', ['--version'], { encoding: 'utf8' }).trim()
}

/** A certificate for loopback, its key and the authority that issued it, in a folder. */
async function writeCertificate(folder: string): Promise<{ cert: string; key: string; ca: string }> {
  const authority = await TestAuthority.make()
  const pair = await authority.issue({
    commonName: 'localhost',
    names: [
      { type: 'dns', value: 'localhost' },
      { type: 'ip', value: '127.0.0.1' },
      { type: 'ip', value: '::1' },
    ],
  })
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key'), ca: join(folder, 'ca.crt') }
  writeFileSync(files.cert, pair.cert)
  writeFileSync(files.key, pair.key)
  writeFileSync(files.ca, authority.pair.cert)
  return files
}

/**
 * Ports for a server that cannot be told to choose: free at the moment over UDP and TCP, and below those that the
 * system hands out, so that nobody is given one before the server has it.
 */
async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let attempt = 0; ports.length < count && attempt < PORT_ATTEMPTS_MAX; attempt++) {
    const port = randomInt(PORTS.min, PORTS.max + 1)
    if (!ports.includes(port) && (await isFree(port))) ports.push(port)
  }
  return ports
}

async function isFree(port: number): Promise<boolean> {
  const udp = dgram.createSocket('udp4')
  const tcp = createServer()
  try {
    udp.bind(port, '127.0.0.1')
    await once(udp, 'listening')
    tcp.listen(port, '127.0.0.1')
    await once(tcp, 'listening')
    return true
  } catch {
    return false
  } finally {
    udp.close()
    tcp.close()
  }
}
