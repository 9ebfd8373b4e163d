import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { RelayIo } from './io.ts'
import { PortableIo } from './portable/portable-io.ts'
import { literal, started, udpPeer } from './testing/setup.ts'

/** Set where this file runs inside a network namespace of its own. */
const INSIDE = 'TURNFLEET_TEST_NAMESPACE'
const NETWORK = `
ip link set lo mtu 1300 up
ip route add unreachable 198.51.100.0/25
ip route add prohibit 198.51.100.128/25
ip route add blackhole 203.0.113.0/24
nft add table inet refusing
nft 'add chain inet refusing out { type filter hook output priority 0; }'
nft add rule inet refusing out ip daddr 127.0.0.66 drop
exec "$0" --test "$1"`
/** What fails in a way of its own for each. */
const BAD: Record<string, { to: string; bytes: number; icmp?: number[] }> = {
  'nobody listens (ECONNREFUSED)': { to: '127.0.0.1', bytes: 10, icmp: [3, 3, 0] },
  'there is no way (ENETUNREACH)': { to: '192.0.2.1', bytes: 10 },
  'the host is unreachable (EHOSTUNREACH)': { to: '198.51.100.1', bytes: 10 },
  'a route prohibits it (EACCES)': { to: '198.51.100.200', bytes: 10 },
  'a route swallows it (EINVAL)': { to: '203.0.113.1', bytes: 10 },
  'a firewall drops it (EPERM)': { to: '127.0.0.66', bytes: 10 },
  'it is too long for the way (EMSGSIZE)': { to: '127.0.0.1', bytes: 1290, icmp: [3, 4, 1300] },
}
const ROUNDS = 20

if (process.env[INSIDE]) {
  perIo('PortableIo', () => new PortableIo())
  if (process.platform === 'linux') {
    const { LinuxIo } = await import('./linux/linux-io.ts')
    perIo('LinuxIo', () => new LinuxIo())
  }
} else {
  const skip = reasonToSkip()
  it('a send error towards one peer touches no other, in a network that has all of them', {
    skip,
  }, async () => {
    const args = ['--net', 'sh', '-ec', NETWORK, process.execPath, fileURLToPath(import.meta.url)]
    const env = { ...process.env, [INSIDE]: '1', NODE_TEST_CONTEXT: undefined }
    const output = await new Promise<string>((resolve) => {
      execFile('unshare', args, { env }, (error, stdout, stderr) =>
        resolve(error ? `${stdout}${stderr}` : ''),
      )
    })
    assert.equal(output, '')
  })
}

function perIo(name: string, create: () => RelayIo): void {
  describe(`${name}: the other peers hear all, and are heard, while`, { timeout: 20_000 }, () => {
    for (const [kind, { to, bytes, icmp }] of Object.entries(BAD)) {
      it(kind, async (t) => {
        const { io, seen } = started(t, create)
        const good = await udpPeer(t)
        const long = Buffer.alloc(bytes)
        io.bindRelay(1, literal('0.0.0.0', 0), { dontFragment: true })
        await seen.until(() => seen.bound.includes(1))
        for (let round = 0; round < ROUNDS; round++) {
          for (let i = 0; i < 3; i++) io.sendToPeer(1, literal(to, 9), long, 0, bytes)
          const heard = once(good.socket, 'message')
          io.sendToPeer(1, good.address, Buffer.from([round]), 0, 1)
          const [message, from] = await heard
          assert.deepEqual(message, Buffer.from([round]))
          good.socket.send(Buffer.from('back'), from.port, '127.0.0.1')
          await seen.until(() => seen.peer.length === round + 1)
        }
        if (!io.peerErrors) return
        assert.deepEqual(seen.peerErrors[0]?.icmp, icmp)
      })
    }
  })
}

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return 'a network namespace needs root'
  try {
    for (const program of ['unshare', 'ip', 'nft']) execFileSync('sh', ['-c', `command -v ${program}`])
    return false
  } catch (error) {
    return `a program is missing: ${(error as Error).message}`
  }
}
