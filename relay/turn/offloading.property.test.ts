import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeOffload } from '../../test/support/fake-offload.ts'
import { address, type Client, relayConfigFor, TurnHarness } from '../../test/support/turn-harness.ts'
import { turnServerConfig } from './server-config.ts'

const FROM = '198.51.100.7:4000'
const PEERS = ['9.9.9.9:5000', '9.9.9.9:443', '9.9.9.9:80', '8.8.8.8:5000', '[2001:4860::8]:5000'] as const
const CHANNELS = [0x4000, 0x4001, 0x4002] as const
const POLICIES = [{}, { deny: ['9.9.9.0/24'] }, { allow: ['9.9.9.9'] }, { deny: ['8.8.8.8'] }]

/** What is done to a machine with something below it and to one without. */
type Step =
  | { readonly kind: 'permit'; readonly peer: number }
  | { readonly kind: 'send'; readonly peer: number }
  | { readonly kind: 'hear'; readonly peer: number }
  | { readonly kind: 'bind'; readonly peer: number; readonly channel: number }
  | { readonly kind: 'channelData'; readonly channel: number }
  | { readonly kind: 'pass'; readonly seconds: number }
  | { readonly kind: 'refresh'; readonly seconds: number }
  | { readonly kind: 'policy'; readonly policy: number }

const peer = fc.nat(PEERS.length - 1)
const channel = fc.nat(CHANNELS.length - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('permit'), peer }),
  fc.record({ kind: fc.constant('send'), peer }),
  fc.record({ kind: fc.constant('hear'), peer }),
  fc.record({ kind: fc.constant('bind'), peer, channel }),
  fc.record({ kind: fc.constant('channelData'), channel }),
  fc.record({ kind: fc.constant('pass'), seconds: fc.constantFrom(1, 100, 250, 299, 301, 700) }),
  fc.record({ kind: fc.constant('refresh'), seconds: fc.constantFrom(0, 600, 3600) }),
  fc.record({ kind: fc.constant('policy'), policy: fc.nat(POLICIES.length - 1) }),
)

function perform(harness: TurnHarness, client: Client, relayed: readonly string[], one: Step): void {
  switch (one.kind) {
    case 'permit':
      client.permit(PEERS[one.peer]!)
      break
    case 'send':
      client.send(PEERS[one.peer]!, 'data')
      break
    case 'hear':
      hear(harness, relayed, PEERS[one.peer]!)
      break
    case 'bind':
      client.bind(CHANNELS[one.channel]!, PEERS[one.peer]!)
      break
    case 'channelData':
      client.channelData(CHANNELS[one.channel]!, 'data')
      break
    case 'pass':
      harness.pass(one.seconds)
      break
    case 'refresh':
      client.refresh(one.seconds)
      break
    case 'policy':
      harness.server.updateConfig(turnServerConfig(relayConfigFor({ peers: POLICIES[one.policy]! })))
  }
}

function hear(harness: TurnHarness, relayed: readonly string[], from: string): void {
  const to = relayed.find((ip) => ip.startsWith('[') === from.startsWith('['))
  if (to) harness.fromPeer(to, from, 'data')
}

function open(offload?: FakeOffload) {
  const harness = new TurnHarness({}, offload ? { offload } : {})
  const client = harness.client(FROM)
  const dual = (writer: Parameters<Parameters<Client['allocate']>[0] & object>[0]) =>
    void writer.addFirstByte(0x8000, 2)
  return { harness, client, relayed: client.allocate(dual)!.relayed! }
}

/** What passes below passes alone as well, and to the same peers. */
function checkBelow(offload: FakeOffload, alone: ReturnType<typeof open>): void {
  const { now } = alone.harness
  for (const number of CHANNELS) {
    const to = offload.channelData(FROM, number, now)
    if (to) assert.equal(alone.client.channelData(number, 'data')?.to, to)
  }
  for (const to of PEERS) {
    if (offload.passes(FROM, address(to), now)) assert.equal(alone.client.send(to, 'data')?.to, to)
  }
}

/** What the machine alone forwards goes below once a packet has passed. */
function checkAbove(
  offload: FakeOffload,
  above: ReturnType<typeof open>,
  alone: ReturnType<typeof open>,
): void {
  for (const to of PEERS) {
    const forwarded = above.client.send(to, 'data')
    assert.equal(forwarded?.to, alone.client.send(to, 'data')?.to)
    if (forwarded) assert.ok(offload.passes(FROM, address(to), above.harness.now))
  }
}

test('what is below a machine forwards nothing that the machine alone would not, and to nobody else', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 25 }), (steps) => {
      const offload = new FakeOffload()
      const above = open(offload)
      const alone = open()
      for (const one of steps) {
        for (const { harness, client, relayed } of [above, alone]) perform(harness, client, relayed, one)
        checkBelow(offload, alone)
        checkAbove(offload, above, alone)
      }
    }),
    { numRuns: 40 },
  )
})
