import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import type { RelayConfigInput } from '../../relay/api/config.ts'
import type { BenchNetwork } from './network.ts'
import { builtFloor, builtPion } from './rivals/build.ts'

export const CREDENTIAL = { username: 'user', password: 'password', realm: 'bench.example.org' }
export const PORT = 3478

/** Where a load generator finds a server under test, and who it is there. */
export function wayIn({ serverAddress, generatorAddress }: BenchNetwork) {
  const { username, password } = CREDENTIAL
  return { server: { address: serverAddress, port: PORT }, local: generatorAddress, username, password }
}

const RELAY_PORTS = { min: 40_000, max: 65_535 }
const RELAY_MAIN = fileURLToPath(new URL('../../relay/main.ts', import.meta.url))
const ALLOCATIONS_MAX = 20_000

/** What clients speak with a server under test, over UDP unless this says otherwise. */
export interface StreamAccess {
  readonly transport: 'tcp' | 'tls'
  /** PEM, for TLS. */
  readonly cert: string
  readonly key: string
}

/** A server under test. */
export interface Contender {
  readonly name: string
  /** It speaks no TURN, but what the load generator calls `open`. */
  readonly bare?: boolean
  start(network: BenchNetwork, folder: string, access?: StreamAccess): { command: string[]; ready: RegExp }
}

/** By the name that the command line knows it by. */
export const CONTENDERS: Readonly<Record<string, () => Contender>> = {
  portable: () => turnfleet('portable'),
  batched: () => turnfleet('batched'),
  'batched-2': () => turnfleet('batched', 2),
  kernel: () => turnfleet('kernel'),
  coturn: () => coturn,
  pion: () => pion(builtPion()),
  'floor-single': () => floor('single', builtFloor()),
  'floor-batch': () => floor('batch', builtFloor()),
  'floor-runs': () => floor('runs', builtFloor()),
}

function turnfleet(datapath: NonNullable<RelayConfigInput['datapath']>, workers?: number): Contender {
  return {
    name: workers === undefined ? `turnfleet ${datapath}` : `turnfleet ${datapath}, ${workers} loops`,
    start(network, folder, access) {
      const files = writeCertificate(folder, access)
      const config: RelayConfigInput = {
        realm: CREDENTIAL.realm,
        listeners: [{ protocol: access?.transport ?? 'udp', address: network.serverAddress, port: PORT }],
        ...(files && { tls: files }),
        relay: { addresses: [{ advertise: network.serverAddress }], ports: RELAY_PORTS },
        credentials: { users: [{ username: CREDENTIAL.username, password: CREDENTIAL.password }] },
        peers: { allow: [network.generatorAddress] },
        datapath,
        workers,
        limits: {
          allocations: ALLOCATIONS_MAX,
          allocationsPerUser: ALLOCATIONS_MAX,
          allocationsPerAddress: 0,
          streams: ALLOCATIONS_MAX,
          streamsPerAddress: ALLOCATIONS_MAX,
          halfOpenStreamsPerAddress: 0,
          // In force, as they cost something, and never reached.
          bytesPerSecondPerAllocation: 1_000_000_000,
          packetsPerSecondPerAllocation: 1_000_000,
          // Everything comes from one address.
          unauthenticatedResponsesPerSecond: 1_000_000,
          unauthenticatedResponsesPerSecondPerAddress: 0,
        },
      }
      writeFileSync(join(folder, 'relay.yaml'), stringify(config))
      return {
        command: [process.execPath, RELAY_MAIN, '--config', join(folder, 'relay.yaml')],
        ready: /"msg":"ready"/,
      }
    },
  }
}

const coturn: Contender = {
  name: 'coturn',
  start(network, folder, access) {
    const { username, password, realm } = CREDENTIAL
    const files = writeCertificate(folder, access)
    // It tells TLS and plain TCP apart on one port, as we do.
    const secure = files ? [`--cert=${files.certFile}`, `--pkey=${files.keyFile}`] : ['--no-tls']
    const flags = ['-n', '--no-cli', ...secure, '--no-dtls', '--lt-cred-mech', '--relay-threads=1']
    const loopback = network.serverAddress === '127.0.0.1' ? ['--allow-loopback-peers'] : []
    const command = [
      ...['turnserver', ...flags, ...loopback, '--log-file=stdout', '--simple-log'],
      ...[`--listening-ip=${network.serverAddress}`, `--relay-ip=${network.serverAddress}`],
      ...[`--listening-port=${PORT}`, `--min-port=${RELAY_PORTS.min}`, `--max-port=${RELAY_PORTS.max}`],
      ...[`--realm=${realm}`, `--user=${username}:${password}`, `--pidfile=${join(folder, 'pid')}`],
      `--userdb=${join(folder, 'turndb')}`,
    ]
    return { command, ready: /\(admin thread\)/ }
  },
}

function writeCertificate(folder: string, access: StreamAccess | undefined) {
  if (access?.transport !== 'tls') return undefined
  const files = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
  writeFileSync(files.certFile, access.cert)
  writeFileSync(files.keyFile, access.key)
  return files
}

function pion(program: string): Contender {
  return {
    name: 'pion',
    start({ serverAddress }) {
      const { username, password, realm } = CREDENTIAL
      const ports = [PORT, RELAY_PORTS.min, RELAY_PORTS.max].map(String)
      return { command: [program, serverAddress, ...ports, realm, username, password], ready: /ready/ }
    },
  }
}

function floor(mode: 'single' | 'batch' | 'runs', program: string): Contender {
  return {
    name: `floor ${mode}`,
    bare: true,
    start: ({ serverAddress }) => ({ command: [program, serverAddress, String(PORT), mode], ready: /ready/ }),
  }
}
