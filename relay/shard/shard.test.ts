import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IoCounters, RelayIo } from '../io/io.ts'
import { TransportAddress } from '../stun/address.ts'
import type { AllocationEvent, Forward, Link, Output, TurnMachine } from '../turn/contract.ts'
import { Shard, type ShardEvent } from './shard.ts'

const CLIENT = new TransportAddress().set4(0xc0000201, 4000)
const PEER = new TransportAddress().set4(0xc0000202, 5000)
const LINK: Link = { id: 3, transport: 'tcp', local: CLIENT, remote: CLIENT }
const ALLOCATION: AllocationEvent = {
  allocation: 1,
  link: 3,
  username: 'u',
  keyId: 'static',
  realm: 'r',
  transport: 'tcp',
  client: CLIENT,
  relayTransport: 'udp',
  relayed: [PEER],
}

/** A shard between an io and a machine that only write down what they are told. */
function setUp() {
  const calls: string[] = []
  const events: ShardEvent[] = []
  const outputs: Output[] = []
  const machine = {
    forward: undefined as Forward | undefined,
    deadline: Number.POSITIVE_INFINITY,
    broken: false,
  }
  const note =
    (name: string) =>
    (...args: unknown[]) =>
      void calls.push(`${name} ${args.filter((arg) => typeof arg === 'number').join(' ')}`.trim())
  const io = {
    counters: {} as IoCounters,
    start: note('start'),
    now: () => 1000,
    wakeAt: note('wakeAt'),
    bindRelay: note('bindRelay'),
    closeRelay: note('closeRelay'),
    sendToClient: note('sendToClient'),
    sendToPeer: note('sendToPeer'),
    closeLink: note('closeLink'),
    tcpPeers: {
      listen: note('listen'),
      connect: note('connect'),
      splice: note('splice'),
      close: note('close'),
    },
    setLinkInUse: (link: number, inUse: boolean) => void calls.push(`setLinkInUse ${link} ${inUse}`),
  } as unknown as RelayIo
  const turn: TurnMachine = {
    addLink: note('addLink'),
    removeLink: note('removeLink'),
    clientsOf: () => [],
    hasClient: () => false,
    handleClientData: () => {
      if (machine.broken) throw new Error('a bug')
      return machine.forward
    },
    handlePeerData: () => machine.forward,
    handlePeerError: note('handlePeerError'),
    relayBound: note('relayBound'),
    relayBindFailed: note('relayBindFailed'),
    pollTimeout: () => machine.deadline,
    handlePeerConnection: () => {
      if (machine.broken) throw new Error('a bug')
      return 17
    },
    peerConnected: note('peerConnected'),
    peerClosed: note('peerClosed'),
    handleSplicedData: () => {
      if (machine.broken) throw new Error('a bug')
      return 1500
    },
    handleTimeout: note('handleTimeout'),
    nextOutput: () => outputs.shift(),
    setWallClockOffset: note('setWallClockOffset'),
  }
  const shard = new Shard({ io, machine: turn, unixMs: () => 5000, onEvent: (event) => events.push(event) })
  shard.start()
  shard.linkOpened(LINK)
  calls.length = 0
  return { shard, calls, events, outputs, machine }
}

test('a packet goes on where the machine says, with its DSCP and ECN (RFC 8656 §14), and is counted on both sides', () => {
  const { shard, calls, machine } = setUp()
  machine.forward = { target: 'peer', socket: 9, to: PEER, offset: 52, length: 160 }
  shard.clientData(3, CLIENT, new Uint8Array(300), 48, 164, 2)
  assert.deepEqual(calls, ['sendToPeer 9 52 160 2'])
  assert.deepEqual(shard.traffic.tcp, { packetsIn: 1, bytesIn: 164, packetsOut: 0, bytesOut: 0 })
  assert.deepEqual(shard.traffic.peer, { packetsIn: 0, bytesIn: 0, packetsOut: 1, bytesOut: 160 })
  machine.forward = { target: 'client', socket: 3, to: CLIENT, offset: 44, length: 164 }
  shard.peerData(9, PEER, new Uint8Array(300), 48, 160, 0b1011_1001)
  assert.equal(calls[1], 'sendToClient 3 44 164 185')
  assert.equal(shard.traffic.tcp.bytesOut, 164)
})

test('outputs are performed at the end of a batch', () => {
  const { shard, calls, events, outputs } = setUp()
  outputs.push(
    { kind: 'transmit', link: 3, to: CLIENT, bytes: new Uint8Array(20) },
    { kind: 'bind-relay', relay: 9, family: 4, bind: PEER, transport: 'udp', dontFragment: false },
    { kind: 'allocation-opened', at: 1, allocation: ALLOCATION },
    { kind: 'close-relay', relay: 9 },
    { kind: 'close-link', link: 3 },
  )
  shard.batchEnd()
  assert.deepEqual(calls, [
    'sendToClient 3 0 20 0',
    'bindRelay 9',
    'setLinkInUse 3 true',
    'closeRelay 9',
    'closeLink 3',
  ])
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['allocation-opened'],
  )
})

test('what a TCP allocation asks for goes to the TCP peers of the I/O layer', () => {
  const { shard, calls, outputs } = setUp()
  outputs.push(
    { kind: 'bind-relay', relay: 9, family: 4, bind: PEER, transport: 'tcp', dontFragment: false },
    { kind: 'connect-peer', connection: 17, relay: 9, to: PEER },
    { kind: 'splice', connection: 17, link: 3 },
    { kind: 'close-peer', connection: 17 },
  )
  shard.batchEnd()
  assert.deepEqual(calls, ['listen 9', 'connect 17 9', 'splice 17 3', 'close 17'])
})

test('bytes of a splice are counted on both sides, and the machine says when more may be read', () => {
  const { shard } = setUp()
  assert.equal(shard.peerConnection(9, PEER), 17)
  assert.equal(shard.splicedData(17, 3, 'client', 100), 1500)
  shard.splicedData(17, 3, 'peer', 40)
  assert.deepEqual(shard.traffic.tcp, { packetsIn: 1, bytesIn: 100, packetsOut: 1, bytesOut: 40 })
  assert.deepEqual(shard.traffic.peer, { packetsIn: 1, bytesIn: 40, packetsOut: 1, bytesOut: 100 })
})

test('the timer is set only for what comes sooner', () => {
  const { shard, calls, machine } = setUp()
  machine.deadline = 3000
  shard.batchEnd()
  machine.deadline = 4000
  shard.batchEnd()
  machine.deadline = 2000
  shard.batchEnd()
  assert.deepEqual(calls, ['wakeAt 3000', 'wakeAt 2000'])
  machine.deadline = 4000
  shard.wake()
  shard.batchEnd()
  assert.deepEqual(calls.slice(2), ['handleTimeout 1000', 'wakeAt 4000'])
})

test('a fault of the machine costs one packet', () => {
  const { shard, calls, events, machine } = setUp()
  machine.broken = true
  shard.clientData(3, CLIENT, new Uint8Array(100), 48, 20, 0)
  assert.deepEqual(
    events.map(({ kind }) => kind),
    ['fault'],
  )
  machine.broken = false
  machine.forward = { target: 'peer', socket: 9, to: PEER, offset: 48, length: 20 }
  shard.clientData(3, CLIENT, new Uint8Array(100), 48, 20, 0)
  assert.deepEqual(calls, ['sendToPeer 9 48 20 0'])
})

test('a fault of the machine closes a peer that connects, and lets bytes of a splice pass', () => {
  const { shard, events, machine } = setUp()
  machine.broken = true
  assert.equal(shard.peerConnection(9, PEER), undefined)
  assert.equal(shard.splicedData(17, 3, 'client', 100), 1000)
  assert.equal(events.length, 2)
})

test('data of a link that is gone is ignored', () => {
  const { shard, calls, machine } = setUp()
  machine.forward = { target: 'peer', socket: 9, to: PEER, offset: 48, length: 20 }
  shard.linkClosed(3)
  shard.clientData(3, CLIENT, new Uint8Array(100), 48, 20, 0)
  assert.deepEqual(calls, ['removeLink 3 1000'])
})

test('an ICMP error reaches the machine with the time', () => {
  const { shard, calls } = setUp()
  shard.peerError(9, PEER, 3, 4, 1400)
  assert.deepEqual(calls, ['handlePeerError 9 3 4 1400 1000'])
})
