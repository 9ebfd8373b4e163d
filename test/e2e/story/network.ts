import assert from 'node:assert/strict'
import { join } from 'node:path'
import { background, command, until } from '../../cluster/command.ts'
import { droppedPackets } from '../../cluster/network.ts'
import { OPEN_HOST } from '../world.ts'
import type { Story } from './story.ts'

/** The NATs and the firewall are what the other steps take them for: asked by an RFC 5780 client. */
export async function proveTheNetwork({ world }: Story): Promise<void> {
  const [first, second] = OPEN_HOST.addresses
  const log = join(world.plane.directory, 'log/turnserver.log')
  const args = ['-n', '-L', first, '-L', second, '--no-cli', '--log-file', 'stdout', '--lt-cred-mech']
  const server = background('turnserver', args, { log, netns: OPEN_HOST.netns })
  try {
    await until('the RFC 5780 server listens', async () =>
      (await printed(OPEN_HOST.netns, 'ss -lun')).includes(`${second}:3479`),
    )
    const ask = (own: string) => `turnutils_natdiscovery -m -f -L ${own} -l 40001 ${first}`
    const before = await droppedPackets(world.office.router)
    const [answer] = await Promise.all([
      printed(world.home.client, ask(world.home.address)),
      printed(world.office.client, `timeout 2 ${ask(world.office.address)}`),
    ])
    assert.match(answer, /NAT with Address and Port Dependent Mapping!/)
    assert.match(answer, /NAT with Address and Port Dependent Filtering!/)
    assert.ok((await droppedPackets(world.office.router)).udp > before.udp, 'the firewall let UDP through')
  } finally {
    await server.stop()
  }
}

/** What a command prints in a namespace, however it ends. */
async function printed(netns: string, line: string): Promise<string> {
  return command('nsenter', [`--net=/run/netns/${netns}`, ...line.split(' ')]).catch(
    (error: { stdout?: string }) => String(error.stdout ?? ''),
  )
}
