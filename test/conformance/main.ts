import { lookup } from 'node:dns/promises'
import { networkInterfaces } from 'node:os'
import { parseArgs } from 'node:util'
import { METHOD } from '../../relay/stun/methods.ts'
import type { CaseResult } from './case.ts'
import { CASES } from './cases/index.ts'
import { Client } from './client.ts'
import { writeDocs } from './docs.ts'
import { failures, text } from './report.ts'
import { runCases } from './run.ts'
import type { Target } from './trial.ts'
import { openWire, type Transport } from './wire.ts'

/** Holds any TURN server against the RFCs; exits with 1 where a MUST is broken. */
const USAGE = `usage: npm run conformance -- --host HOST --user USER --password PASSWORD
  [--port 3478] [--transport udp|tcp|tls] [--realm REALM] [--user2 USER --password2 PASSWORD]
  [--peer-address ADDRESS] [--token-key KID:BASE64] [--quota N] [--only TEXT] [--json]
or: npm run conformance -- --write-docs`
const TRANSPORTS = ['udp', 'tcp', 'tls'] as const

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      host: { type: 'string' },
      port: { type: 'string' },
      user: { type: 'string' },
      password: { type: 'string' },
      user2: { type: 'string' },
      password2: { type: 'string' },
      realm: { type: 'string' },
      transport: { type: 'string', default: 'udp' },
      'peer-address': { type: 'string' },
      'token-key': { type: 'string' },
      quota: { type: 'string' },
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      'write-docs': { type: 'boolean', default: false },
    },
  })
  if (values['write-docs']) return writeDocs()
  const transport = TRANSPORTS.find((one) => one === values.transport)
  const { host, user, password, user2, password2, realm } = values
  const port = Number(values.port ?? (transport === 'tls' ? 5349 : 3478))
  if (!transport || !host || !user || !password || !Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new Error(USAGE)
  }
  const server = { ip: (await lookup(host)).address, port }
  const own = await reachableAddress(server, transport)
  const target: Target = {
    server,
    transport,
    credentials: { username: user, password, realm },
    other: user2 && password2 ? { username: user2, password: password2, realm } : undefined,
    quota: values.quota === undefined ? undefined : Number(values.quota),
    tokenKey: tokenKey(values['token-key']),
    peerAddress: values['peer-address'] ?? own,
  }
  const results = await runCases(
    CASES.filter(({ id }) => id.includes(values.only)),
    target,
  )
  print(results, values.json)
}

/** `KID:BASE64`: the key of an authorization server (RFC 7635). */
function tokenKey(text: string | undefined): Target['tokenKey'] {
  const [kid, key] = text?.split(':') ?? []
  return kid && key ? { kid, key: Buffer.from(key, 'base64') } : undefined
}

function print(results: readonly CaseResult[], json: boolean): void {
  const broken = failures(results, 'MUST')
  process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : `${text(results)}\n`)
  process.exitCode = broken.length > 0 ? 1 : 0
}

/**
 * Our address towards the server, where it is the server's own machine: others may sit behind a NAT. Throws where
 * there is no server.
 */
async function reachableAddress(server: Target['server'], transport: Transport): Promise<string | undefined> {
  const wire = await openWire(server, transport).catch((error: Error) => {
    throw new Error(`cannot reach ${server.ip}:${server.port} over ${transport}: ${error.message}`)
  })
  const { ip: local } = wire.local
  const client = new Client(wire, { username: '', password: '' })
  try {
    await client.ask(METHOD.Binding)
  } catch {
    throw new Error(`${server.ip}:${server.port} does not answer STUN over ${transport}`)
  } finally {
    wire.close()
  }
  const own = Object.values(networkInterfaces()).flatMap((one) => one?.map(({ address }) => address) ?? [])
  return own.includes(server.ip) ? local : undefined
}

await main().catch((error: Error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
})
