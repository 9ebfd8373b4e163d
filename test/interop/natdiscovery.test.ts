import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { after, before, describe, it } from 'node:test'
import { loopbackConfig, RelayChild } from '../../relay/testing/relay-child.ts'
import { NatNamespaces } from './nat-namespaces.ts'

const PROGRAM = 'turnutils_natdiscovery'
const TIMEOUT_MS = 30_000
const PORTS = [3478, 3479]
const skip = reasonToSkip(PROGRAM, 'coturn')
const isRoot = process.getuid?.() === 0
const skipNat = skip || (isRoot ? reasonToSkip('nft', 'nftables') : 'network namespaces need root')

describe('turnutils_natdiscovery on loopback', { skip, timeout: 60_000, concurrency: true }, () => {
  // Addresses that only this run has: the ports need not be chosen by the system.
  const [a, b] = [1, 2].map((host) => `127.${100 + (process.pid % 100)}.${(process.pid >> 8) % 256}.${host}`)
  let relay: RelayChild
  before(async () => {
    relay = await discoveryRelay([a!, b!])
  })
  after(() => relay.stop())

  const cases: Record<string, [flags: string[], found: RegExp]> = {
    'no mapping': [['-m'], /Endpoint Independent Mapping!/],
    'no filtering': [['-f'], /Endpoint Independent Filtering!/],
    'no mapping of fragments': [['-m', '-P'], /Endpoint Independent Mapping!/],
    'no filtering of fragments': [['-f', '-P'], /Endpoint Independent Filtering!/],
    'a binding that lives': [['-t', '-T', '1'], /RFC 5780 response 2/],
  }
  for (const [name, [flags, found]] of Object.entries(cases)) {
    it(`finds ${name}`, async () => {
      assert.match(await discover([PROGRAM, ...flags, a!]), found)
    })
  }
})

describe('turnutils_natdiscovery behind a NAT', { skip: skipNat, timeout: 120_000 }, () => {
  let network: NatNamespaces
  let relay: RelayChild
  before(async () => {
    network = new NatNamespaces()
    relay = await discoveryRelay(network.serverAddresses, network.at('server'))
  })
  after(async () => {
    await relay.stop()
    network.remove()
  })

  const find = (flag: string) =>
    discover([...network.at('client'), PROGRAM, flag, network.serverAddresses[0]])

  it('finds that every destination gets a port of its own', async () => {
    network.translate('masquerade fully-random')
    assert.match(await find('-m'), /Address and Port Dependent Mapping!/)
  })

  it('finds that all destinations share a port, and only who was written to gets through', async () => {
    network.translate('masquerade')
    const [mapping, filtering] = await Promise.all([find('-m'), find('-f')])
    assert.match(mapping, /Endpoint Independent Mapping!/)
    assert.match(filtering, /Address and Port Dependent Filtering!/)
  })
})

async function discoveryRelay(addresses: readonly string[], prefix: string[] = []): Promise<RelayChild> {
  const relay = new RelayChild(prefix)
  const natDiscovery = { addresses: addresses.map((advertise) => ({ advertise })), ports: PORTS }
  const [address] = addresses
  const listeners = [{ protocol: 'tcp' as const, address, port: 0 }]
  relay.writeConfig(loopbackConfig({ listeners, natDiscovery }))
  relay.spawn()
  await relay.ready()
  return relay
}

function discover([program, ...args]: string[]): Promise<string> {
  return new Promise((resolve) => {
    execFile(program!, args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL' }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    )
  })
}

function reasonToSkip(program: string, debianPackage: string): string | false {
  try {
    execFileSync('sh', ['-c', `command -v ${program}`])
    return false
  } catch {
    return `${program} is missing: install the Debian package ${debianPackage}`
  }
}
